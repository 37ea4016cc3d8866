"""Handlers that take longer than request_timeout."""

from __future__ import annotations

from operator_session import HELLO, Home
from waits import GATED, Gate, wait_until

ASYNC = """

@app.route("/forever")
async def forever(was):
    import asyncio

    try:
        await asyncio.Event().wait()
    finally:
        open("{directory}/cancelled", "w").close()
"""

SHORT = "request_timeout = 0.2"


def test_the_client_of_a_stuck_handler_gets_503_and_others_go_on(home: Home) -> None:
    """The log has the handler's stack; what it returns in the end is dropped."""
    gate = Gate(home.app / "gate")
    server = home.serve("web", apps={"webapp.py": gate.app(), "hello.py": HELLO}, more=SHORT,
        routes="/ = {app}/webapp\n/h = {app}/hello")  # fmt: skip
    with server.raw() as stuck:
        stuck.sendall(b"GET /gate HTTP/1.1\r\nHost: a\r\n\r\n")
        gate.wait_came()
        assert server.get("/h/hello").text == "hello"
        answer = stuck.makefile("rb").read()  # to the end: the connection closes
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert answer.count(b"HTTP/1.1") == 1
    log = server.wait_log("GET /gate HTTP/1.1 503 ")
    assert "GET /gate: given up after " in log
    assert "request_timeout is 0.2 s; webapp.gate: runs at " in log
    assert "in gate\n    with open(" in log
    gate.open()
    assert server.get("/h/hello").text == "hello"
    assert len(server.workers()) == 1
    gate.close()


def test_a_request_that_never_got_a_thread_is_given_up_unseen(home: Home) -> None:
    """Its handler does not run when there is a thread again."""
    gate = Gate(home.app / "gate")
    # All run slots are lost here, so the worker asks for a successor. That never comes up, else
    # this worker might be gone before its handler is let through.
    alone = f"open({str(home.app / 'imported')!r}, 'x').close()\n"
    counted = GATED.replace("def gate(was):", "def gate(was):\n    print('began', flush=True)")
    app = alone + counted.format(directory=home.app / "gate") + HELLO.partition("(__name__)")[2]
    more = f"threads_max = 1\n{SHORT}"
    server = home.serve("web", apps={"webapp.py": app}, threads=1, more=more)
    with server.raw() as first, server.raw() as second:
        first.sendall(b"GET /gate HTTP/1.0\r\n\r\n")
        gate.wait_came()
        second.sendall(b"GET /gate HTTP/1.0\r\n\r\n")
        assert first.makefile("rb").read().startswith(b"HTTP/1.1 503 ")
        assert second.makefile("rb").read().startswith(b"HTTP/1.1 503 ")
    server.wait_log("; no thread was free")
    gate.open()
    # The only thread takes its jobs in the order in which they came.
    wait_until(lambda: server.get("/hello").status == 200, "the thread answers again")
    server.stop()
    assert server.log().count("began") == 1
    gate.close()


def test_an_async_handler_is_cancelled(home: Home) -> None:
    """It can be, so it does not go on for nothing."""
    app = HELLO + ASYNC.format(directory=home.app)
    server = home.serve("web", apps={"webapp.py": app}, more=SHORT)
    assert server.get("/forever").status == 503
    assert server.get("/hello").text == "hello"
    assert (home.app / "cancelled").exists()


ROUTES = """

@app.route("/short", timeout=0.2)
def short(was):
    return gate(was)


@app.route("/short-async", timeout=0.2)
async def short_async(was):
    import asyncio

    await asyncio.Event().wait()


@app.route("/patient", timeout=0)
def patient(was):
    return gate(was)
"""


def test_a_route_has_a_time_of_its_own(home: Home) -> None:
    """A shorter one than the conf's, which is none here, for both kinds of handlers."""
    gate = Gate(home.app / "gate")
    server = home.serve("web", apps={"webapp.py": gate.app() + ROUTES})
    assert server.get("/short").status == 503
    log = server.wait_log("GET /short HTTP/1.1 503 ")
    assert "the timeout of its route is 0.2 s; webapp.short: runs at " in log
    assert server.get("/short-async").status == 503
    gate.open()
    gate.close()


def test_a_route_may_take_as_long_as_it_takes(home: Home) -> None:
    """Whatever the conf says of the others."""
    gate = Gate(home.app / "gate")
    server = home.serve("web", apps={"webapp.py": gate.app() + ROUTES}, more=SHORT)
    with server.raw() as patient:
        patient.sendall(b"GET /patient HTTP/1.0\r\n\r\n")
        gate.wait_came()
        assert server.get("/gate").status == 503  # later, and given up before
        gate.open()
        assert patient.makefile("rb").read().startswith(b"HTTP/1.1 200 ")
    gate.close()


def test_a_worker_without_run_slots_is_replaced(home: Home) -> None:
    """Its handler never comes back; the next worker answers."""
    gate = Gate(home.app / "gate")
    app = gate.app() + HELLO.partition("(__name__)")[2]
    more = f"{SHORT}\ndrain_timeout = 1"
    server = home.serve("web", apps={"webapp.py": app}, threads=1, more=more)
    assert server.get("/gate").status == 503
    server.wait_log("all 1 run slots are held by handlers past their time")
    wait_until(lambda: server.get("/hello").status == 200, "the next worker answers")
    gate.close()
