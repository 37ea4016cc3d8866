"""Takes uploads, and answers others meanwhile."""

from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/up")
def up(was, file):
    return {"size": file["size"]}


@app.route("/hello")
def hello(was):
    return "hello"
