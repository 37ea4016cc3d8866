from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route


def sync_hello(request):
    return HTMLResponse("Hello World")


async def async_hello(request):
    return HTMLResponse("Hello World")


app = Starlette(routes=[Route("/sync", sync_hello), Route("/async", async_hello)])
