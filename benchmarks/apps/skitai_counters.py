"""Hello, in a worker that can be told to count nothing, and what it has used so far."""

import time

from skitai.server import ssgi
from skitaid.workers.tally import Tally

app = ssgi.Application(__name__)

counted = Tally.ended


def uncounted(self, request, head, size):
    """Only the access log would be told; here there is none."""


@app.route("/sync")
def sync(was):
    return "Hello World"


@app.route("/count/<int:on>")
def count(was, on):
    Tally.ended = counted if on else uncounted
    return [time.process_time(), was.lifetime.requests]
