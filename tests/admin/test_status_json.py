"""The status of a whole server, asked of whichever worker takes the connection."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from looks import CONF, basic, look, route, status
from operator_session import Home
from served import Server

from skitaid.workers.admin.document import Status

APP = """
import time

from skitai.server import ssgi

app = ssgi.Application(__name__)


class Searcher:
    def status(self):
        return {"documents": 3}


class Broken:
    def status(self):
        raise ValueError("no luck")


class Odd:
    def status(self):
        return {"name": "\\ud800"}


@app.startup
def startup(wasc, app):
    wasc.register("searcher", Searcher())
    wasc.register("broken", Broken())
    wasc.register("odd", Odd())


@app.route("/hello/<int:number>", methods=["GET"])
def hello(was, number):
    return "hello"


@app.route("/broken")
def broken(was):
    raise ValueError("no luck")


@app.route("/ask")
def ask(was):
    return [each.status for each in was.map("back/hello/1", method="GET").getswait(timeout=2)]


@app.route("/slow")
def slow(was):
    time.sleep(0.3)
    return was.lb("back/hello/2", method="GET").getwait(timeout=2).data


@app.route("/sql")
def sql(was):
    s = was.db("@db")
    s.execute("select 1")
    return str(int(s.getwait(timeout=2).status))


@app.route("/rpc/add")
def add(was, a, b):
    return a + b
"""
REFERENCE = Path(__file__).parents[2] / "docs/reference/status.md"


@pytest.fixture(scope="module")
def server(shared_home: Home) -> Server:
    """Three workers that ask themselves."""
    port = shared_home.write_conf("web")
    shared_home.write_app("webapp.py", APP)
    members = f"[@back]\nmembers = 127.0.0.1:{port}, 127.0.0.1:1\n"
    members += "[@db]\ntype = postgresql\nmembers = 127.0.0.1:1/shop/clerk/secret\n"
    return shared_home.serve(
        "web",
        apps={"webapp.py": APP},
        port=port,
        processes=3,
        more=f"{CONF}\nslow_request = 0.2",
        sections=members,
    )


def test_it_is_what_its_records_say(server: Server) -> None:
    """So the records are its schema, and any worker answers for all."""
    document = look(server, "status.json")

    found = msgspec.json.decode(document.body, type=Status)

    assert document.headers["Content-Type"] == "application/json"
    assert document.headers["Cache-Control"] == "no-store"
    assert [each.ordinal for each in found.workers] == [0, 1, 2]
    assert all(each.answers and each.state == "ready" for each in found.workers)
    assert [each.pid for each in found.workers] == server.workers()
    assert found.server.name == "web"
    assert found.server.pid == server.pid
    assert found.server.conf.endswith("/servers-enabled/web.conf")
    assert found.registered["searcher"] == {"documents": 3}
    assert [each.file.rpartition("/")[2] for each in found.apps] == ["webapp.py"]


def test_an_app_that_cannot_say_how_it_is_takes_nothing_else_away(server: Server) -> None:
    """One that fails, and one whose words no encoding has, are told as errors; pages are there."""
    found = msgspec.json.decode(look(server, "status.json").body, type=Status)

    assert found.registered["searcher"] == {"documents": 3}
    assert found.registered["broken"] == {"error": "ValueError: no luck"}
    assert "cannot be written as JSON" in found.registered["odd"]["error"]
    assert look(server, "status").status == 200
    assert look(server, "metrics").status == 200


def test_the_reference_has_every_key(server: Server) -> None:
    """Of the document and of all records in it."""
    text = REFERENCE.read_text()
    known = set(re.findall(r"`(\w+)`", text)) | set(re.findall(r"^## (.*)$", text, re.M))
    known |= {name for heading in known for name in heading.split(", ")}

    def names(schema: Any) -> set[str]:
        _, parts = msgspec.json.schema_components([Status])
        return {key for part in parts.values() for key in part.get("properties", {})}

    assert names(Status) - known == set()


def test_requests_are_counted_where_they_are_answered(server: Server) -> None:
    """Whichever worker it was; the parameters of a rule do not make it several."""
    for number in range(20):
        assert server.get(f"/hello/{number}").status == 200
    for _ in range(3):
        assert server.get("/broken").status == 500
        assert server.get("/hello/x").status == 404
        assert server.post("/hello/1").status == 405

    document = status(server)

    hello = route(document, "/hello/<int:number>")
    assert (hello["kind"], hello["methods"], hello["handler"]) == (
        "app",
        "GET,HEAD",
        "webapp.hello",
    )
    assert hello["requests"] >= 20
    assert hello["errors"] == 0
    assert 0 < hello["latency"]["p50"] <= hello["latency"]["p99"]
    assert route(document, "/broken")["errors"] == 3
    nobody = [each for each in document["routes"] if each["kind"] == "none"]
    assert [each["client_errors"] for each in nobody] == [6]


def test_a_call_by_rpc_counts_at_the_rule_of_its_handler(server: Server) -> None:
    """Whatever path its document was sent to."""
    body = "<methodCall><methodName>rpc.add</methodName><params>"
    body += "".join(f"<param><value><int>{n}</int></value></param>" for n in (1, 2))
    reply = server.post("/RPC2", body + "</params></methodCall>", {"Content-Type": "text/xml"})
    assert "<int>3</int>" in reply.text

    assert route(status(server), "/rpc/add")["requests"] == 1


def test_members_are_told_with_their_state(server: Server) -> None:
    """The one that nobody can reach has its reason, and is ejected at last."""
    for _ in range(12):
        assert server.get("/ask").json() == [3, 0]

    (cluster,) = status(server)["clusters"]

    up, dead = cluster["members"]
    assert (cluster["name"], cluster["balance"]) == ("back", "p2c")
    assert (up["state"], up["requests"] >= 12, up["failures"]) == ("up", True, 0)
    assert up["latency"]["count"] == up["requests"]
    assert up["pool"]["idle"] > 0
    assert (dead["state"], dead["failures"]) == ("ejected", dead["requests"])
    assert dead["ejections"] >= dead["ejected_by"] > 0
    assert "127.0.0.1:1" in dead["last_error"]
    assert dead["pool"]["idle"] == 0


def test_databases_are_told_like_clusters(server: Server) -> None:
    """Without passwords."""
    assert server.get("/sql").text == "0"

    document = look(server, "status.json")
    (cluster,) = document.json()["databases"]

    (member,) = cluster["members"]
    assert (cluster["name"], member["requests"], member["failures"]) == ("db", 1, 1)
    assert member["last_error"]
    assert member["pool"]["cap"] > 0
    assert "secret" not in document.text


def test_a_slow_request_is_told_with_what_it_waited_for(server: Server) -> None:
    """In the document and in the log, with the trace it is part of."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "X-Request-ID": "slow-1"}
    assert server.get("/slow", headers).text == "hello"

    (slow,) = [each for each in status(server)["slow"] if each["rule"] == "/slow"]

    assert (slow["id"], slow["trace"], slow["status"]) == ("slow-1", trace, 200)
    assert slow["running"] >= 0.3
    assert slow["total"] >= slow["running"] + slow["waiting"] + slow["queue"]
    (wait, *_) = slow["waits"]
    assert (wait["cluster"], wait["status"], wait["code"]) == ("back", "normal", 200)
    assert 0 < wait["seconds"] <= slow["waiting"] + slow["running"]
    line = server.wait_log("request slow-1, GET /slow: 200 after")
    assert "running 0.3" in line
    assert f"webapp.slow; trace {trace}" in line


def test_errors_alike_are_one(server: Server) -> None:
    """With the traceback, how often, and the last request it happened to."""
    for number in range(4):
        server.get("/broken", {"X-Request-ID": f"bad-{number}"})

    found = [
        each for each in status(server)["errors"] if "ValueError: no luck" in each["traceback"]
    ]

    assert sum(each["count"] for each in found) >= 4
    assert found[0]["request"] == "bad-3"
    assert found[0]["logger"] == "skitai.app"
    assert "webapp.broken raised ValueError" in found[0]["message"]


@pytest.mark.parametrize(
    "headers", [{}, basic(user="root"), basic(password="wrong-one")], ids=["none", "user", "wrong"]
)
@pytest.mark.parametrize("path", ["status.json", "metrics"])
def test_nobody_else_may_look(server: Server, path: str, headers: dict[str, str]) -> None:
    """And neither page nor challenge tells whether it was user or password."""
    reply = server.get(f"/skitai/{path}", headers)

    assert reply.status in (401, 429)
    assert "routes" not in reply.text
    if headers:
        server.wait_log("wrong user or password")


def test_health_is_for_everybody(server: Server) -> None:
    """As a load balancer asks."""
    reply = server.get("/skitai/health")

    assert reply.status == 200
    assert reply.json() == {"status": "ok", "live": True, "ready": True}


def test_only_reading_is_allowed(server: Server) -> None:
    """Of health too."""
    assert server.post("/skitai/health").status == 405
    reply = server.request("POST", "/skitai/status.json", headers=basic())
    assert reply.status in (405, 429)


def test_a_kept_connection_is_answered_too(server: Server) -> None:
    """Several looks over one."""
    with closing(server.connect()) as connection:
        for _ in range(3):
            connection.request("GET", "/skitai/health")
            assert connection.getresponse().read().startswith(b'{"status":"ok"')
