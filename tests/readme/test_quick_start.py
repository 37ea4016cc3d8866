"""Quick Start: Hello World, Routing, Building Larger App, Constructor and Deconstructor."""

from __future__ import annotations

import os
import xmlrpc.client
from pathlib import Path

from operator_session import Home
from readme_apps import Serve


def test_hello_world(serve: Serve) -> None:
    """/test/ is working like a directory."""
    server = serve("/test/ = {app}/hello_world")

    assert server.get("/test/").text == "Hello"
    bare = server.get("/test?a=1")
    assert (bare.status, bare.headers["location"]) == (301, "/test/?a=1")
    with xmlrpc.client.ServerProxy(f"http://127.0.0.1:{server.port}/") as s:
        assert s.test.hello.world() == "Hello World"  # type: ignore[operator]


def test_mount_like_a_file(serve: Serve) -> None:
    """/test is like a file; below it, all is the same."""
    server = serve("/test = {app}/hello_world")

    pages = [server.get(path).text for path in ("/test", "/test/", "/test/hello/world")]
    assert pages == ["Hello", "Hello", "Hello World"]
    assert server.get("/tes").status == 404


def test_physical_file_has_priority(serve: Serve) -> None:
    """A directory and an app on one route."""
    server = serve("/test = {app}/templates\n/test = {app}/hello_world\n/ = {app}/hello_world")

    assert "{{ url }}" in server.get("/test/index.html").text
    assert "{{ url }}" in server.get("/test/").text  # its index
    assert server.get("/test/hello/world").text == "Hello World"
    with xmlrpc.client.ServerProxy(f"http://127.0.0.1:{server.port}/") as s:
        assert s.hello.world() == "Hello World"  # type: ignore[operator]


def test_larger_app(serve: Serve) -> None:
    """A package beside the app, and an object that all apps share."""
    server = serve("/ = {app}/larger\n/other = {app}/other")

    assert server.get("/greeting/morning").text == "good Morning"
    assert server.get("/hello/world").text == "Hello"
    assert server.get("/searcher").json() == {"is_open": True, "is_mine": True}
    assert server.get("/other/searcher").json() == {"is_open": True}
    assert server.stop() == 0
    assert "the searcher is closed" in server.log()


def test_app_is_reloaded_when_it_changes(serve: Serve, home: Home) -> None:
    """Only onreload is called then, so what it had is still there."""
    server = serve("/ = {app}/larger\n/other = {app}/other")
    assert server.get("/hello/world").text == "Hello"

    _edit(home.app / "larger.py", 'return "Hello"', 'return "Hello again"')

    assert server.get("/hello/world").text == "Hello again"
    assert server.get("/searcher").json() == {"is_open": True, "is_mine": True}
    assert server.get("/greeting/morning").text == "good Morning"


def test_app_is_not_reloaded_without_development_mode(serve: Serve, home: Home) -> None:
    """False is the default."""
    server = serve("/ = {app}/pages")
    before = server.get("/").text
    _edit(home.app / "pages.py", "pypi.python.org", "pypi.org")

    assert server.get("/").text == before


def _edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    stamp = file.stat().st_mtime_ns
    file.write_text(text.replace(old, new))
    os.utime(file, ns=(stamp + 10**9, stamp + 10**9))
