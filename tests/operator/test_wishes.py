"""What an app may ask of its master: another worker, or the end."""

from __future__ import annotations

from operator_session import Home
from waits import wait_until

APP = """\
import os

from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/pid")
def pid(was):
    return str(os.getpid())


@app.route("/restart")
def restart(was):
    was.restart()
    return "soon"


@app.route("/async/restart")
async def async_restart(was):
    was.restart()
    return "soon"


@app.route("/shutdown")
def shutdown(was):
    was.shutdown()
    return "bye"
"""


def test_an_app_asks_for_a_new_worker(home: Home) -> None:
    """It gets one, from plain and async handlers; the request that asked is answered."""
    server = home.serve(apps={"webapp.py": APP})
    for path in ("/restart", "/async/restart"):
        before = server.workers()
        assert server.get(path).text == "soon"
        wait_until(
            lambda before=before: len(server.workers()) == 1 and server.workers() != before,
            "another worker serves",
        )
    server.wait_log("was.restart()", times=2)
    assert server.stop() == 0


def test_an_app_ends_its_server(home: Home) -> None:
    """The answer is given first, and the exit is a clean one, so the fleet leaves it down."""
    server = home.serve(apps={"webapp.py": APP}, processes=2)
    assert server.get("/shutdown").text == "bye"
    assert server.wait() == 0
