"""`skitaid reload`: what is edited is served, what is broken is told and not served."""

from __future__ import annotations

import signal

from operator_session import HELLO, Home, free_port
from served import Client
from waits import Gate, wait_until

SAYS_NEW = HELLO.replace('"hello"', '"new"')
BROKEN = HELLO + "\nimport no_such_module_anywhere\n"


def test_a_broken_app_is_told_and_not_served(home: Home) -> None:
    """The traceback on stderr, exit code 1, and the old answer as before."""
    server = home.serve("web", processes=2)
    workers = server.workers()
    home.write_app("webapp.py", BROKEN)
    ran = home.run("reload", "web")
    assert ran.code == 1
    assert "ModuleNotFoundError: No module named 'no_such_module_anywhere'" in ran.err
    assert "generation 1 goes on" in ran.err
    assert server.get("/hello").text == "hello"
    assert server.workers() == workers
    assert "no_such_module_anywhere" in server.status().last_error


def test_a_broken_conf_is_told_and_not_used(home: Home) -> None:
    """All mistakes with their lines."""
    server = home.serve("web")
    workers = server.workers()
    home.write_conf("web", port=server.port, more="threadss = 4")
    ran = home.run("reload", "web")
    assert ran.code == 2
    assert "web.conf:6: threadss: unknown key" in ran.err
    assert server.workers() == workers


def test_a_port_that_is_taken_is_told_and_nothing_changes(home: Home) -> None:
    """The new address is bound before anybody is retired."""
    server = home.serve("web")
    other = home.serve("other")
    home.write_conf("web", port=other.port)
    ran = home.run("reload", "web")
    assert (ran.code, "already does" in ran.err) == (1, True)
    assert server.get("/hello").text == "hello"


def test_a_server_that_does_not_run_cannot_be_reloaded(home: Home) -> None:
    """It says how to start it."""
    home.write_app("webapp.py")
    home.write_conf("web")
    ran = home.run("reload", "web")
    assert (ran.code, ran.err) == (1, "web is not running; skitaid start web starts it\n")
    ran = home.run("reload")
    assert (ran.code, "no server is running" in ran.err) == (1, True)


def test_an_edited_app_is_served_by_new_workers(home: Home) -> None:
    """The command comes back when no old worker is left."""
    server = home.serve("web", processes=2)
    before = server.workers()
    home.write_app("webapp.py", SAYS_NEW)
    ran = home.run("reload")
    assert (ran.code, ran.err) == (0, "")
    assert "draining web: 1 of 2 workers retired" in ran.out
    assert ran.out.endswith("web is reloaded\n")
    assert server.get("/hello").text == "new"
    assert not set(server.workers()) & set(before)
    assert server.status().generation == 2


def test_hangup_reloads_too(home: Home) -> None:
    """For service managers and habit."""
    server = home.serve("web")
    home.write_app("webapp.py", SAYS_NEW)
    server.send(signal.SIGHUP)
    server.wait_log("the reload is complete")
    assert server.get("/hello").text == "new"


def test_a_request_in_flight_is_answered_by_its_old_worker(home: Home) -> None:
    """While new ones are served by the new worker already."""
    gate = Gate(home.root / "gate")
    server = home.serve("web", apps={"webapp.py": gate.app()})
    with server.raw() as waiting:
        waiting.sendall(b"GET /gate HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        gate.wait_came()
        home.write_app("webapp.py", SAYS_NEW)
        server.send(signal.SIGHUP)
        server.wait_log("finishes 1 requests and leaves")
        assert server.get("/hello").text == "new"
        gate.open()
        assert waiting.recv(65536).startswith(b"HTTP/1.1 200 ")
    server.wait_log("the reload is complete")
    gate.close()


def test_another_port_is_served_before_the_old_one_is_let_go(home: Home) -> None:
    """In the end only the new one is open."""
    server = home.serve("web")
    port = free_port()
    home.write_conf("web", port=port)
    assert home.run("reload", "web").code == 0
    assert Client(port).get("/hello").text == "hello"
    assert server.status().address == f"http://127.0.0.1:{port}"
    try:
        server.raw().close()
    except ConnectionRefusedError:
        return
    raise AssertionError("the old port is still open")


def test_the_number_of_workers_can_be_changed(home: Home) -> None:
    """By the conf, and by a signal for now."""
    server = home.serve("web")
    home.write_conf("web", port=server.port, processes=3)
    assert home.run("reload", "web").code == 0
    assert len(server.workers()) == 3
    server.send(signal.SIGTTOU)
    wait_until(lambda: len(server.workers()) == 2, "a worker less")
    server.send(signal.SIGTTIN)
    wait_until(lambda: len(server.workers()) == 3, "a worker more")
