from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/sync")
def sync_hello(was):
    return "Hello World"


@app.route("/async")
async def async_hello(was):
    return "Hello World"
