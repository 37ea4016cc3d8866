"""Accessing Request, Environment, Getting Args, File Upload."""

from __future__ import annotations

import ast
import socket

import pytest
from readme_apps import Serve
from served import Server


@pytest.fixture
def server(serve: Serve) -> Server:
    return serve("/ = {app}/request\n/ = {app}/arguments")


def test_request_information(server: Server) -> None:
    """As it came."""
    sent = {"content-type": "text/plain"}
    told = server.request("POST", "/info;p?a=1", b"body", sent)
    assert told.status == 404  # parameters of a path are a part of it

    told = server.request("POST", "/info?a=1", b"body", sent).json()
    assert told["length"] == "4"
    assert "content-type: text/plain" in told["raw"]
    assert told["parts"] == ["/info", None, "?a=1", None]
    assert (told["body"], told["command"], told["version"]) == ("body", "post", "1.1")
    assert told["uri"] == "/info?a=1"


def test_response_information(server: Server) -> None:
    """Status, fields, the page for an error."""
    refused = server.get("/only-post")
    assert (refused.status, refused.text) == (405, "Not allowed get method for /only-post")
    assert (server.get("/started").status, server.get("/started").text) == (405, "started")
    fields = server.get("/fields")
    assert fields.headers.get_all("x-location") == ["/newest"]
    assert (fields.headers["location"], fields.headers["x-gone"]) == ("/newloc", None)
    assert fields.text == "False"
    error = server.get("/error")
    assert (error.status, error.headers["location"]) == (307, "/newloc")
    assert "307 Temporary Redirect" in error.text


def test_instant_response(server: Server) -> None:
    """An interim line goes out before the handler has returned."""
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(b"GET /instant HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        came = b"".join(iter(lambda: sock.recv(4096), b""))

    assert came.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert came.endswith(b"and then this")


def test_environment(server: Server) -> None:
    """Names of CGI, and nothing of the process's own."""
    env = server.get("/env?a=1", {"Accept-Language": "ko-KR", "Cookie": "a=b"}).json()

    assert env["HTTP_ACCEPT_LANGUAGE"] == "ko-KR"
    assert env["HTTP_COOKIE"] == "a=b"
    assert (env["QUERY_STRING"], env["REQUEST_METHOD"]) == ("a=1", "GET")
    assert "PATH" not in env


def test_fancy_url(server: Server) -> None:
    """int, float, path, and strings."""
    assert server.get("/company/555/Skitai%20Corp").text == "555 - Skitai Corp"
    assert server.get("/company/x/Skitai").status == 404
    assert server.get("/ratio/1.5").text == "3.0"
    assert server.get("/file/a/b.txt").text == "a/b.txt"


def test_query_and_form(server: Server) -> None:
    """Both POST and GET, and mixed with the path."""
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert server.get("/company?cid=555&cname=Skitai+Corp").text == "555 - Skitai Corp"
    posted = server.request("POST", "/company", b"cid=555&cname=Skitai+Corp", form)
    assert posted.text == "555 - Skitai Corp"
    mixed = server.get("/mixed/555?cname=Skitai+Corp").json()
    assert mixed == {"cid": 555, "cname": "Skitai Corp"}
    assert server.get("/form?cid=5").json() == {"cid": "5", "cname": None}


def test_name_that_comes_twice(server: Server) -> None:
    """Its values are a list, the path's last."""
    told = server.get("/mixed/555?cname=Skitai+Corp&cid=333").json()

    assert told["cid"] == ["333", 555]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/company?cid=1", "the argument cname is missing"),
        ("/company?cid=1&cname=a&x=1", "the argument x is not expected"),
    ],
)
def test_arguments_that_do_not_fit(server: Server, path: str, sentence: str) -> None:
    """400 with a sentence, and not a 500 with a riddle."""
    refused = server.get(path)

    assert (refused.status, sentence in refused.text) == (400, True)


def test_file_upload(server: Server) -> None:
    """The form of the README, as a browser sends it."""
    lines = [
        "--b",
        'Content-Disposition: form-data; name="submit-hidden"',
        "",
        "Hidden",
        "--b",
        'Content-Disposition: form-data; name="submit-name"',
        "",
        "Hans Roh",
        "--b",
        'Content-Disposition: form-data; name="file"; filename="study.sql"',
        "Content-Type: application/octet-stream",
        "",
        "x" * 511,
        "--b--",
        "",
    ]
    body = "\r\n".join(lines).encode()
    came = server.request(
        "POST", "/test/up", body, {"content-type": "multipart/form-data; boundary=b"}
    )

    given, _, raw = came.text.partition("<hr>")
    fields = ast.literal_eval(given)
    assert (fields["submit-hidden"], fields["submit-name"]) == ("Hidden", "Hans Roh")
    file = fields["file"]
    assert (file["mimetype"], file["remote"]) == ("application/octet-stream", "study.sql")
    assert (file["size"], sorted(file)) == (511, ["local", "mimetype", "remote", "size"])
    assert ast.literal_eval(raw) == body
