"""The status page by plain HTTP, as a browser without scripts and an attacker use it."""

from __future__ import annotations

import re
from contextlib import closing
from functools import partial
from urllib.parse import urlencode

import pytest
from html_tree import tree
from looks import CONF, basic, look, status
from operator_session import Home
from served import Reply, Server
from waits import wait_until

APP = """
from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/hello")
def hello(was):
    return "hello"


@app.route("/cached")
def cached(was):
    rs = was.wget("http://127.0.0.1:{port}/hello").getwait(2)
    return rs.cache(60).data
"""


@pytest.fixture(scope="module")
def server(shared_home: Home) -> Server:
    """Two workers; the tests of this file share it."""
    port = shared_home.write_conf("web")
    return shared_home.serve(
        "web",
        apps={"webapp.py": APP.replace("{port}", f"{port}")},
        port=port,
        processes=2,
        more=CONF,
        sections=f"[@back]\nmembers = 127.0.0.1:{port}, 127.0.0.1:1\n",
    )


def token(server: Server) -> str:
    """Of a form of the page."""
    page = tree(look(server, "status").body)
    return page.by_id("act").all("input")[0].attributes["value"]


def order(
    server: Server, what: str, given: str, headers: dict[str, str] | None = None, **more: str
) -> Reply:
    """A form as the page sends it."""
    body = urlencode({"token": given, "do": what, **more})
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return server.post("/skitai/status/do", body, {**basic(), **form, **(headers or {})})


def test_the_page_is_there_for_who_has_the_password(server: Server) -> None:
    """With a policy that lets nothing inline or foreign in, and kept by nobody."""
    reply = look(server, "status")
    assert reply.status == 200
    policy = reply.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    assert tree(reply.body).all("h1")[0].text == "web"
    rows = tree(reply.body).by_id("workers").all("tbody")[0].all("tr")
    assert len(rows) == len(status(server)["workers"])


@pytest.mark.parametrize(
    "path", ["", "/routes", "/events", "/style.css", "/script.js", "/icon.svg", "/do"]
)
def test_nothing_of_it_without_the_password(server: Server, path: str) -> None:
    """Not even its files."""
    method = "POST" if path == "/do" else "GET"
    reply = server.request(method, f"/skitai/status{path}")
    assert (reply.status, reply.headers["WWW-Authenticate"][:5]) == (401, "Basic")


def test_its_files_are_kept_by_the_browser(server: Server) -> None:
    """Their URLs change with them."""
    page = tree(look(server, "status").body)
    (script,) = page.all("script")
    reply = server.get(script.attributes["src"], basic())
    assert re.search(r"\?[0-9a-f]{12}$", script.attributes["src"])
    assert reply.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert "immutable" in reply.headers["Cache-Control"]
    assert reply.text.startswith("// Makes the status page live")


def test_all_routes(server: Server) -> None:
    """They have a page of their own."""
    server.get("/hello")
    page = tree(look(server, "status/routes").body)
    assert "/hello" in page.by_id("routes").words


def test_an_order_without_a_good_token_is_refused(server: Server) -> None:
    """No token, a wrong one, one of a GET: nothing is done, and the log says who has tried."""
    good = token(server)
    generation = status(server)["server"]["generation"]
    for given in ("", good[:-1], good[::-1]):
        reply = order(server, "reload", given)
        assert reply.status == 403
        assert "its token is missing or wrong" in reply.text
    query = urlencode({"token": good, "do": "reload"})
    assert server.get(f"/skitai/status/do?{query}", basic()).status == 405
    assert server.post(f"/skitai/status/do?{query}", b"", basic()).status == 400
    assert "refused to admin from 127.0.0.1: The form was not sent by this page" in server.log()
    assert status(server)["server"]["generation"] == generation


@pytest.mark.parametrize(
    "fields",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_form_of_another_site_is_refused(server: Server, fields: dict[str, str]) -> None:
    """Even with the token, should it ever leak."""
    reply = order(server, "reload", token(server), fields)
    assert (reply.status, "sent by another site" in reply.text) == (403, True)


@pytest.mark.parametrize("what", ["", "explode", "drain:back", "reload:back:127.0.0.1:1"])
def test_what_is_no_order(server: Server, what: str) -> None:
    """It is said so."""
    reply = order(server, what, token(server))
    assert (reply.status, "nothing that can be done here" in reply.text) == (400, True)


def test_members_that_are_not_there(server: Server) -> None:
    """The conf has the say."""
    reply = order(server, "drain:back:127.0.0.1:99", token(server))
    assert (reply.status, "There is no member 127.0.0.1:99 of @back." in reply.text) == (404, True)


@pytest.mark.parametrize("what", ["stop", "restart", "clear", "disable:back:127.0.0.1:1"])
def test_dangerous_orders_are_asked_about_again(server: Server, what: str) -> None:
    """By a page that works without a script, and whose first choice is no."""
    reply = order(server, what, token(server))
    assert reply.status == 200
    page = tree(reply.body)
    (form,) = page.all("form")
    fields = {each.attributes["name"]: each.attributes["value"] for each in form.all("input")}
    assert fields == {"token": token(server), "confirmed": "yes"}
    (button,) = form.all("button")
    assert button.attributes["value"] == what
    assert form.all("a")[0].attributes["href"] == "/skitai/status"
    assert status(server)["server"]["state"] == "serving"


def test_clearing_the_cache(server: Server) -> None:
    """Of all workers, and it is logged with who and from where."""
    with closing(server.connect()) as one, closing(server.connect()) as other:
        for _ in range(20):
            for each in (one, other):
                each.request("GET", "/cached")
                assert each.getresponse().read() == b"hello"
    assert status(server)["cache"]["entries"] > 0
    reply = order(server, "clear", token(server), confirmed="yes")
    assert (reply.status, reply.headers["Location"]) == (303, "/skitai/status?done=clear")
    wait_until(lambda: status(server)["cache"]["entries"] == 0, "empty caches")
    server.wait_log("status page: admin from 127.0.0.1: clear the result cache")
    server.wait_log("admin from 127.0.0.1 on the status page: the result caches are emptied")
    notice = tree(look(server, "status?done=clear").body)
    assert "The result caches of all workers are empty." in notice.text


def test_a_notice_is_not_for_others_to_write(server: Server) -> None:
    """A link from elsewhere, or of something that is not there, shows none."""
    for path, fields in (
        ("status?done=stop", {"Sec-Fetch-Site": "cross-site"}),
        ("status?done=drain:back:evil", {}),
        ("status?done=%ff", {}),
    ):
        reply = server.get(f"/skitai/{path}", {**basic(), **fields})
        assert reply.status == 200
        assert not [p for p in tree(reply.body).all("p") if p.attributes.get("class") == "notice"]


def test_stacks(server: Server) -> None:
    """Of all threads of all workers."""
    reply = order(server, "stacks", token(server))
    assert reply.status == 200
    page = tree(reply.body)
    assert [each.text for each in page.all("h2")] == ["Worker 0", "Worker 1"]
    for each in page.all("pre"):
        assert "MainThread" in each.text
        assert "run_until_complete" in each.text


def test_events_come_by_themselves(server: Server) -> None:
    """The first is all of it, the next what has changed."""
    with closing(server.connect()) as connection:
        connection.request("GET", "/skitai/status/events", headers=basic())
        response = connection.getresponse()
        assert response.getheader("Content-Type") == "text/event-stream; charset=utf-8"
        assert response.getheader("Cache-Control") == "no-store"
        lines = [response.readline() for _ in range(4)]
        assert lines[:3] == [b"retry: 2000\n", b"\n", b"event: parts\n"]
        assert lines[3].startswith(b'data: {"head":"<header id')
        later = [response.readline() for _ in range(3)]
        assert later[1] == b"event: parts\n"
        assert len(later[2]) < len(lines[3])


def test_one_worker_more_and_less(server: Server) -> None:
    """As by signals."""
    for what, workers in (("more", 3), ("fewer", 2)):
        assert order(server, what, token(server)).status == 303
        wanted = ["ready"] * workers
        wait_until(partial(has_workers, server, wanted), f"{workers} workers")


def test_stop(home: Home) -> None:
    """It is said by a page that needs no server, and what is in hand is answered."""
    server = home.serve("web", more=CONF)
    reply = order(server, "stop", token(server), confirmed="yes")
    assert reply.status == 200
    assert "The server stops when all is answered" in reply.text
    assert server.wait() == 0
    assert "admin from 127.0.0.1 on the status page: stopping when all is answered" in server.log()


def test_its_forms_where_a_cluster_has_all_paths(home: Home) -> None:
    """They come before it, with what they say."""
    cluster = "[@back]\nmembers = 127.0.0.1:1\n"
    server = home.serve("web", routes="/ = @back", apps={}, more=CONF, sections=cluster)
    assert order(server, "stacks", token(server)).status == 200
    assert order(server, "reload", token(server)).status == 303
    server.wait_log("the reload is complete")
    assert server.stop() == 0


def has_workers(server: Server, states: list[str]) -> bool:
    return [each["state"] for each in status(server)["workers"]] == states


def test_reload_and_restart(server: Server) -> None:
    """Old workers retire, their event streams end, and the new ones know the page's token.

    After a restart it is that of another page.
    """
    given = token(server)
    with closing(server.connect()) as connection:
        connection.request("GET", "/skitai/status/events", headers=basic())
        response = connection.getresponse()
        first = response.readline()
        assert first == b"retry: 2000\n"
        before = status(server)["server"]["generation"]
        assert order(server, "reload", given).status == 303
        assert (first + response.read()).endswith(b"\n\n")  # to its end: the worker retires
    server.wait_log("the reload is complete")
    assert status(server)["server"]["generation"] == before + 1
    assert status(server)["server"]["last_change"]["error"] == ""
    assert order(server, "restart", given, confirmed="yes").status == 303
    server.wait_log("the restart is complete")
    assert order(server, "reload", given).status == 403  # the conf has no securekey of its own
    assert order(server, "more", token(server)).status == 303
