"""At Glance: the first app, and a map over three servers."""

from __future__ import annotations

import xmlrpc.client

from readme_apps import Serve, section
from served import Server


def test_first_app(serve: Serve) -> None:
    """By XML-RPC and from a browser."""
    server = serve("/ = {app}/at_glance", sections=section("mysearch", []) + "127.0.0.1:1")

    with xmlrpc.client.ServerProxy(f"http://127.0.0.1:{server.port}/RPC2") as s:
        assert s.hello() == "Hello World"
    assert server.get("/hello").text == "Hello World"


def test_conf_and_command_of_the_first_page(serve: Serve) -> None:
    """Static files and an app on one route, as short as it is there."""
    server = serve("/ = {app}/templates\n/ = {app}/hello_world", more="ssl = no")

    assert "{{ url }}" in server.get("/index.html").text
    assert server.get("/hello/world").text == "Hello World"


def test_map_reduce(serve: Serve, members: list[Server]) -> None:
    """All members answer; one that is dead is left out by its status."""
    server = serve("/ = {app}/at_glance", sections=section("mysearch", members))

    found = server.get("/search?keyword=Beethoven").json()
    assert found == [f"Beethoven at {member.port}" for member in members]
    assert members[1].stop() == 0
    assert len(server.get("/search").json()) == 2
    with xmlrpc.client.ServerProxy(f"http://127.0.0.1:{server.port}/RPC2") as s:
        assert len(s.search("Bach")) == 2  # type: ignore[arg-type]
