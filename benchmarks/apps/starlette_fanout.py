"""What is written today: async handlers, aiohttp, gather."""

import asyncio
import os
from contextlib import asynccontextmanager

import aiohttp
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

PORTS = os.environ["UPSTREAM"].split(",")


@asynccontextmanager
async def session(app):
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as app.state.session:
        yield


async def get(request, port, path="fast"):
    async with request.app.state.session.get(f"http://127.0.0.1:{port}/{path}") as response:
        return await response.read()


async def fan(request):
    ports = PORTS[: int(request.path_params["count"])]
    bodies = await asyncio.gather(*[get(request, port) for port in ports])
    return PlainTextResponse(str(sum(len(each) for each in bodies)))


async def one(request):
    return PlainTextResponse(await get(request, PORTS[0], request.path_params["path"]))


app = Starlette(
    routes=[Route("/fan/{count}", fan), Route("/one/{path}", one)],
    lifespan=session,
)
