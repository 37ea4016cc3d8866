"""Rendering HTML, Cookie & Session, BAT Automation, Streaming Response."""

from __future__ import annotations

import http.cookiejar
import socket
import urllib.request
from pathlib import Path

import pytest
from readme_apps import Serve
from served import Server


def test_jinja2_template(serve: Serve) -> None:
    """What is rendered is escaped."""
    server = serve("/ = {app}/pages")

    page = server.get("/?name=<b>").text
    assert page == '<a href="https%3A//pypi.python.org/pypi">&lt;b&gt;</a>'


def test_session(serve: Serve) -> None:
    """Signing in, being remembered, signing out."""
    server = serve("/ = {app}/session", more="securekey = ASDF34x5=DFu$3FD45i&*YTnU+78")
    browser = urllib.request.build_opener(
        urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    )

    def ask(path: str) -> str:
        with browser.open(f"http://127.0.0.1:{server.port}{path}") as reply:
            text: str = reply.read().decode()
            return text

    assert ask("/test/signin?username=eve") == "Sorry, You have no permission"
    assert ask("/test/signin?username=hansroh") == "Welcome hansroh"
    assert ask("/test/signin?username=hansroh") == "Already Loggin as hansroh"
    assert ask("/test/signout") == "hansroh, Sign Out Success"
    assert ask("/test/signin?username=eve") == "Sorry, You have no permission"


def test_before_after_and_teardown(serve: Serve) -> None:
    """Called for all methods of the app."""
    server = serve("/ = {app}/orders")
    known = {"Cookie": "userid=5"}

    assert server.get("/myorders").text == "LOGIN FORM"
    assert server.get("/myorders", known).text == "ORDERS OF 5"
    assert server.get("/mycart", known).text == "SORRY"
    assert server.get("/log", known).json() == ["/myorders", "/log"]


@pytest.mark.parametrize(
    ("path", "who", "body", "calls"),
    [
        (
            "/greeting/morning",
            "somebody",
            "good Morning",
            "app.before package.before morning package.after app.after",
        ),
        ("/greeting/morning", "nobody", "LOGIN FORM", "app.before package.before app.after"),
        ("/hello/world", "somebody", "Hello", "app.before app.after"),
        ("/greeting/failure", "somebody", "SORRY", "app.before package.before"),
        ("/failure", "somebody", "SORRY", "app.before"),
    ],
)
def test_sequence_with_a_package(serve: Serve, path: str, who: str, body: str, calls: str) -> None:
    """App outside, package inside."""
    reply = serve("/ = {app}/larger\n/other = {app}/other").get(path, {"X-Who": who})

    assert (reply.status, reply.text) == (200, body)
    assert reply.headers["x-calls"] == calls


def test_streaming(serve: Serve, tmp_path: Path) -> None:
    """Piece by piece, with the header fields that the handler has set."""
    movie = tmp_path / "movie.mp4"
    movie.write_bytes(bytes(range(256)) * 1000)
    server = serve("/ = {app}/pages")

    reply = server.get(f"/streaming?filename={movie}")

    assert reply.body == movie.read_bytes()
    assert reply.headers["content-type"] == "video/mp4"
    assert reply.headers["cache-control"] == "max-age=0"


def test_streaming_to_a_client_that_leaves(serve: Serve, tmp_path: Path) -> None:
    """abort is called, once."""
    movie = tmp_path / "movie.mp4"
    with movie.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    server: Server = serve("/ = {app}/pages")
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(f"GET /streaming?filename={movie} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert sock.recv(4096).startswith(b"HTTP/1.1 200 OK")

    server.wait_log("aborted")
    assert server.stop() == 0
    assert server.log().count("aborted") == 1
