"""A second port, for plain HTTP: it comes and goes with a reload, and is nobody else's."""

from __future__ import annotations

import socket

import pytest
import trustme
from https import fetch, trusting, write_pem
from operator_session import Home, free_port
from served import Client, Server

SECTION = "[certification]\ncertfile = web.pem"


class Site:
    def __init__(self, home: Home) -> None:
        self.home = home
        authority = trustme.CA()
        write_pem(home.etc / "cert/web.pem", authority.issue_cert("localhost"))
        self.context = trusting(authority)
        self.server: Server = home.serve("web", more="ssl = yes", sections=SECTION)

    def reload(self, more: str, port: int | None = None) -> tuple[int, str]:
        conf = {"more": f"ssl = yes\n{more}", "sections": SECTION}
        self.home.write_conf("web", port=port or self.server.port, **conf)
        ran = self.home.run("reload", "web")
        return ran.code, ran.err

    def hello(self, port: int | None = None) -> str:
        return fetch(port or self.server.port, self.context, "/hello").text


def test_a_port_that_is_taken_changes_nothing(home: Home) -> None:
    """Also not the other port, if that is to change at the same time."""
    site = Site(home)
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken, wanted = other.getsockname()[1], free_port()
        code, told = site.reload(f"redirect_port = {taken}", port=wanted)
        assert code != 0
        assert f"cannot listen on 127.0.0.1:{taken}" in told
        with pytest.raises(ConnectionRefusedError):
            Client(wanted).raw()
    assert site.hello() == "hello"


def test_it_comes_and_goes_with_a_reload(home: Home) -> None:
    """And stays over a restart; where it was, nobody listens any more."""
    site = Site(home)
    first, second = free_port(), free_port()
    for port in (first, second):
        assert site.reload(f"redirect_port = {port}") == (0, "")
        assert Client(port).get("/hello").headers["Location"].endswith(f":{site.server.port}/hello")
    with pytest.raises(ConnectionRefusedError):
        Client(first).raw()
    assert home.run("restart", "web").code == 0
    assert Client(second).get("/hello").status == 301
    assert site.hello() == "hello"
    assert site.reload("redirect_port = 0") == (0, "")
    with pytest.raises(ConnectionRefusedError):
        Client(second).raw()
    assert site.hello() == "hello"
