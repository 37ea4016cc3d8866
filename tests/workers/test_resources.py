"""What apps see of their worker: its threads, its queue, its life, its apps, its clusters."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from operator_session import HELLO, Home, free_port
from served import Server
from waits import Gate

APP = """
from skitai.server import ssgi

app = ssgi.Application(__name__)
seen = {}


class Searcher:
    def status(self):
        return {"documents": 3}


@app.startup
def startup(wasc, app):
    wasc.register("searcher", Searcher())
    seen["at startup"] = sorted(wasc.status())
    for name in ("threads", "cluster", "status"):
        try:
            wasc.register(name, None)
        except KeyError as error:
            seen[name] = str(error)


@app.route("/")
def index(was):
    return seen


@app.route("/status")
def status(was):
    return was.status()


@app.route("/status_async")
async def status_async(was):
    return await was.status_async()


@app.route("/wrong")
async def wrong(was):
    return was.status()


@app.route("/views")
def views(was):
    (member,) = was.clusters["back"].members
    return {
        "threads": [was.threads.running, was.threads.parked, was.threads.maximum],
        "queue": [was.queue.qsize, was.queue.max],
        "lifetime": [was.lifetime.started, was.lifetime.uptime, was.lifetime.requests],
        "apps": {prefix: each is was.app for prefix, each in was.apps.items()},
        "member": [member.address, member.weight, member.in_flight, member.is_ejected],
        "clusters": list(was.cluster),
        "alike": was.cluster["@back"] is was.clusters["back"],
    }


@app.route("/wget")
def wget(was, url):
    return was.wget(url).getwait(20).text


@app.route("/pool")
def pool(was):
    members = was.cluster["socketpool"].members
    return [[each.address, each.in_flight, each.latency, each.last_error] for each in members]


@app.route("/ask/<cluster>")
def ask(was, cluster):
    s = was.map(cluster + "/rpc2")
    s.gate()
    return [result.status for result in s.getswait(timeout=20)]
"""
ROUTES = """
/ = {app}/webapp
/other/ = {app}/other
/again = {app}/webapp
"""
OTHER = """
from skitai.server import ssgi

app = ssgi.Application("other app")
"""
SECTIONS = """
[@back]
members = 127.0.0.1:BACK 3
[@dead]
members = 127.0.0.1:DEAD
"""
PARTS = sorted(
    [
        "apps",
        "clusters",
        "httpserver",
        "lifetime",
        "queue",
        "rcache",
        "cachefs",
        "searcher",
        "threads",
    ]
)


def serve(home: Home, back: int) -> Server:
    sections = SECTIONS.replace("BACK", str(back)).replace("DEAD", str(free_port()))
    return home.serve(
        "web",
        apps={"webapp.py": APP, "other.py": OTHER},
        routes=ROUTES,
        sections=sections,
        more="threads_max = 9\nmax_queue = 7",
    )


@pytest.fixture
def server(home: Home) -> Server:
    return serve(home, free_port())


@pytest.mark.parametrize("path", ["/status", "/status_async"])
def test_status_of_server_and_worker(server: Server, path: str) -> None:
    """What status.json has, the worker's own parts, and what apps have registered."""
    status = server.get(path).json()

    assert status.keys() >= {"server", "workers", "routes", "slow", "errors", *PARTS}
    assert status["server"]["pid"] == server.pid
    assert [worker["pid"] for worker in status["workers"]] == server.workers()
    running = {"/status": 1, "/status_async": 0}[path]
    assert (status["threads"]["running"], status["threads"]["maximum"]) == (running, 9)
    assert status["queue"] == {"qsize": 0, "max": 7}
    apps = {app["prefix"]: app["name"] for app in status["apps"]}
    assert apps == {"/": "webapp", "/other/": "other app", "/again": "webapp"}
    assert status["httpserver"]["port"] == server.port
    assert status["searcher"] == {"documents": 3}
    assert [cluster["name"] for cluster in status["clusters"]] == ["back", "dead"]


def test_status_in_an_async_handler_is_not_waited_for(server: Server) -> None:
    """It would stop the loop, so it is refused, with a hint in the log."""
    assert server.get("/wrong").status == 500
    server.wait_log("WrongUse: this would stop the event loop; in an async handler, await it")


def test_parts_are_there_when_an_app_starts(server: Server) -> None:
    """And no app can take their names."""
    seen = server.get("/").json()

    assert seen.pop("at startup") == PARTS
    assert seen == {
        name: f"wasc.register('{name}'): was.{name} is there already"
        for name in ("threads", "cluster", "status")
    }


def test_parts_as_attributes(server: Server) -> None:
    """What the status has, for a handler that decides by it."""
    server.get("/")
    before = time.time()
    views = server.get("/views").json()

    assert views["threads"] == [1, 0, 9]
    assert views["queue"] == [0, 7]
    started, uptime, requests = views["lifetime"]
    assert started == pytest.approx(before, abs=120)
    assert 0 < uptime < 120
    assert requests == 1
    assert views["apps"] == {"/": True, "/other/": False, "/again": True}
    assert views["member"][1:] == [3, 0, False]
    assert views["clusters"] == ["back", "dead", "socketpool"]
    assert views["alike"]


def member_of(status: Any, name: str) -> Any:
    """The one member of a cluster."""
    (cluster,) = [each for each in status["clusters"] if each["name"] == name]
    (member,) = cluster["members"]
    return member


def test_a_handler_that_waits(home: Home, tmp_path: Path) -> None:
    """It is parked, and its call is in flight to the member."""
    with closing(Gate(tmp_path / "gate")) as gate, ThreadPoolExecutor(1) as others:
        back = home.serve("back", apps={"gate.py": gate.app()}, routes="/ = {app}/gate")
        server = serve(home, back.port)
        waiting = others.submit(server.get, "/ask/back")
        gate.wait_came()

        status = server.get("/status").json()
        assert (status["threads"]["running"], status["threads"]["parked"]) == (1, 1)
        member = member_of(status, "back")
        assert member["node"] == f"127.0.0.1:{back.port}"
        assert (member["weight"], member["in_flight"], member["state"]) == (3, 1, "up")
        assert (member["pool"]["busy"], member["pool"]["cap"]) == (1, 256)
        gate.open()
        assert waiting.result().json() == [3]
        assert member_of(server.get("/status").json(), "back")["in_flight"] == 0


def test_servers_named_by_urls_are_in_the_socket_pool(home: Home, server: Server) -> None:
    """Once they were asked."""
    assert server.get("/pool").json() == []
    other = home.serve("other", apps={"hello.py": HELLO}, routes="/ = {app}/hello")
    assert server.get(f"/wget?url=http://127.0.0.1:{other.port}/hello").text == "hello"
    ((address, in_flight, latency, error),) = server.get("/pool").json()
    assert (address, in_flight, error) == (f"127.0.0.1:{other.port}", 0, "")
    assert latency > 0


def test_a_member_that_is_left_alone(server: Server) -> None:
    """After three failures in a row."""
    for ejected in (False, False, True):
        assert server.get("/ask/dead").json() == [0]
        member = member_of(server.get("/status").json(), "dead")
        assert (member["state"] == "ejected") is ejected
