"""SIZE bytes as a download, in each way that a handler may stream them."""

import os

from skitai.server import ssgi

app = ssgi.Application(__name__)

SIZE = int(os.environ.get("SIZE", "0"))
PIECE = bytes(16 * 1024)


@app.route("/hello")
def hello(was):
    return "hello"


@app.route("/warm")
def warm(was):
    return (PIECE for _ in range(64))


@app.route("/file")
def file(was):
    return open(os.environ["FILE"], "rb")


@app.route("/generator")
def generator(was):
    return (PIECE for _ in range(SIZE // len(PIECE)))


@app.route("/more")
def more(was):
    return More()


@app.route("/async")
async def async_generator(was):
    async def pieces():
        for _ in range(SIZE // len(PIECE)):
            yield PIECE

    return pieces()


class More:
    """As in the first README."""

    def __init__(self):
        self.left = SIZE

    def more(self):
        piece = PIECE[: self.left]
        self.left -= len(piece)
        return piece
