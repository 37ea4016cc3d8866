"""A reload to another `ip` of the same port, where the old and the new address overlap."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import closing

import psutil
import pytest
from mixed_load import APP, MixedLoad
from operator_session import CONF, HELLO, Home
from served import Server
from waits import wait_until

from skitaid.supervisor.listeners import CannotListen, listen

ANOTHER = "127.0.0.2"  # also of this machine


def write_conf(home: Home, ip: str, port: int | None = None, more: str = "") -> int:
    """web.conf with two workers on this address."""
    text = CONF.format(
        processes=2, threads=4, more=more, port="{port}", routes="/ = {app}/webapp", sections=""
    )
    return home.write_conf("web", text.replace("ip = 127.0.0.1", f"ip = {ip}"), port=port)


def serve(home: Home, ip: str, app: str = HELLO, more: str = "") -> Server:
    home.write_app("webapp.py", app)
    return home.start([*home.skitaid, "serve", "web"], "web", write_conf(home, ip, more=more))


def is_served(ip: str, port: int) -> bool:
    try:
        socket.create_connection((ip, port)).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture
def loaded(home: Home) -> Iterator[tuple[Server, MixedLoad]]:
    """A server on all addresses, with clients that ask without pause."""
    server = serve(home, "0.0.0.0", APP)
    load = MixedLoad(server.port)
    load.start()
    wait_for_answers(load)
    yield server, load
    load.stop()


def wait_for_answers(load: MixedLoad) -> None:
    wanted = load.answers + 100
    wait_until(lambda: load.answers >= wanted, "100 more right answers")


def test_an_address_that_another_has_is_taken_though_the_old_one_is_ours(home: Home) -> None:
    """Who has it is named, and the server goes on where it was."""
    server = serve(home, "127.0.0.1")
    with closing(listen(ANOTHER, server.port)):
        write_conf(home, "0.0.0.0", server.port)
        ran = home.run("reload", "web")
        assert ran.code == 1
        assert f"cannot listen on 0.0.0.0:{server.port}: " in ran.err
        assert "already does" in ran.err
        assert "skitaid" not in ran.err
        assert server.get("/hello").text == "hello"
    assert home.run("reload", "web").code == 0
    assert is_served(ANOTHER, server.port)


def test_an_address_that_is_taken_while_new_workers_boot_is_not_served(home: Home) -> None:
    """The first of them finds out, and the old ones go on."""
    server = serve(home, "127.0.0.1")
    write_conf(home, "0.0.0.0", server.port)
    go = home.root / "go"
    os.mkfifo(go)
    home.write_app("webapp.py", f"open({str(go)!r}).read()\n" + HELLO)
    server.send(signal.SIGHUP)
    server.wait_log("reading the conf again")
    server.status()  # answered when that is done
    with closing(listen(ANOTHER, server.port)):
        go.write_text("")
        log = server.wait_log("the reload is abandoned, generation 1 goes on")
        assert f"cannot listen on 0.0.0.0, port {server.port}: Address already in use" in log
        assert server.get("/hello").text == "hello"


def test_new_workers_that_do_not_boot_lose_no_request(
    home: Home, loaded: tuple[Server, MixedLoad]
) -> None:
    """What comes in the meantime comes to the old ones, though the new address is closer to it."""
    server, load = loaded
    home.write_app("webapp.py", "import no_such_module_anywhere")
    write_conf(home, "127.0.0.1", server.port)
    assert home.run("reload", "web").code == 1
    wait_for_answers(load)
    with pytest.raises(CannotListen):
        listen("127.0.0.1", server.port)
    home.write_app("webapp.py", APP)
    assert home.run("reload", "web").code == 0
    wait_for_answers(load)
    load.stop()
    assert load.failures() == {}
    assert not is_served(ANOTHER, server.port)


def test_there_and_back_no_request_is_lost(home: Home, loaded: tuple[Server, MixedLoad]) -> None:
    """To one address, to all of both families, to one again; nobody is refused, reset or late."""
    server, load = loaded
    for ip in ("127.0.0.1", "", "127.0.0.1", "0.0.0.0", "", "0.0.0.0"):
        write_conf(home, ip, server.port)
        ran = home.run("reload", "web")
        assert (ran.code, ran.err) == (0, "")
        wait_for_answers(load)
        assert is_served(ANOTHER, server.port) == (ip != "127.0.0.1")
    load.stop()
    assert load.failures() == {}


def test_what_waits_at_the_old_address_is_answered(home: Home) -> None:
    """Who has connected before is the old workers', who comes later the new ones'."""
    server = serve(home, "127.0.0.1")
    write_conf(home, "0.0.0.0", server.port)
    for worker in server.workers():
        psutil.Process(worker).suspend()
    with server.raw() as waiting:
        waiting.sendall(b"GET /hello HTTP/1.0\r\n\r\n")
        server.send(signal.SIGHUP)
        server.wait_log("is ready after", times=4)
        workers = server.workers()  # asked when all of that is done
        assert server.get("/hello").text == "hello"
        for worker in workers:
            psutil.Process(worker).resume()
        assert waiting.makefile("rb").read().endswith(b"hello")
    server.wait_log("the reload is complete")


def test_preloaded_apps_leave_only_stop_and_start(home: Home) -> None:
    """A reload is a restart then, which cannot hold two addresses; it says what to do."""
    server = serve(home, "127.0.0.1", more="preload = yes")
    write_conf(home, "0.0.0.0", server.port, more="preload = yes")
    ran = home.run("reload", "web")
    assert ran.code == 1
    assert f"cannot listen on 0.0.0.0:{server.port}: " in ran.err
    assert "stop and start it" in ran.err
    assert server.get("/hello").text == "hello"
