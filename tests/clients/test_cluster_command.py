"""`skitaid cluster`: members shown and changed while servers run."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fault_server import FaultServer
from operator_session import Home
from served import Server
from waits import wait_until

from skitaid.cli import main

APP = """
import os
from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/lb")
def lb(was, path="text"):
    rs = was.lb("back/" + path, method="GET", timeout=30).getwait()
    return {"pid": os.getpid(), "node": rs.node, "status": int(rs.status), "msg": rs.msg}


@app.route("/map")
def map(was):
    return [rs.node for rs in was.map("back/text", method="GET").getswait(30)]
"""
FAILED, NORMAL = 2, 3
MEMBER = {"node", "state", "weight", "in_flight", "latency", "ejections", "ejected", "ejected_for"}
MEMBER |= {"down", "workers", "last_error", "last_error_at"}
MEMBER |= {"idle", "busy", "opening", "waiting", "cap"}


@pytest.fixture
def members() -> Iterator[list[FaultServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(FaultServer()) for _ in range(2)]


def section(members: list[FaultServer]) -> str:
    return f"[@back]\nmembers = {', '.join(each.node for each in members)}\n"


def command(home: Home, *words: str) -> Result:
    """`skitaid cluster WORDS`, in this process: a new one would take longer than what it does."""
    directories = ["--etc", str(home.etc), "--var", str(home.var)]
    return CliRunner().invoke(main, [*directories, "cluster", *words])


class Operator:
    """Somebody at the command line, and a client of the server."""

    def __init__(self, home: Home, server: Server) -> None:
        self.home = home
        self.server = server

    def says(self, *words: str) -> list[dict[str, Any]]:
        """What `skitaid cluster WORDS --json` tells of each cluster."""
        ran = command(self.home, *words, "--json")
        assert ran.exit_code == 0, ran.stderr
        views = json.loads(ran.stdout)
        assert isinstance(views, list)
        return views

    def states(self) -> dict[str, str]:
        """What is wanted of each member."""
        (view,) = self.says("@back", "--server", self.server.name)
        assert view["silent"] == 0
        return {member["node"]: member["state"] for member in view["members"]}

    def asked_by_all(self) -> set[str]:
        """The members that calls go to, of as many calls as each worker has answered some of."""
        workers, nodes = set(self.server.workers()), set[str]()
        while workers:
            answer = self.server.get("/lb").json()
            assert answer["status"] == NORMAL
            nodes.add(answer["node"])
            workers.discard(answer["pid"])
        return nodes


def test_an_operator_takes_a_machine_out_of_service(home: Home, members: list[FaultServer]) -> None:
    """For all workers at once, for those that come later, through reload and restart."""
    one, other = members
    server = home.serve("web", apps={"webapp.py": APP}, processes=2, sections=section(members))
    operator = Operator(home, server)
    assert server.get("/map").json() == [one.node, other.node]
    shown = home.run("cluster").out
    assert "[@back] of web, 2 workers" in shown
    assert shown.count(" up ") == 2

    (view,) = operator.says("back", "drain", one.node)
    assert [member["state"] for member in view["members"]] == ["drained", "enabled"]
    assert set(view["members"][0]) == MEMBER
    assert operator.asked_by_all() == {other.node}
    assert server.get("/map").json() == [other.node]
    assert " drained " in command(home, "@back").stdout

    killed, _ = server.workers()
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: _all_ready(server, without=killed), "another worker is ready")
    assert operator.asked_by_all() == {other.node}
    for verb in ("reload", "restart"):
        assert home.run(verb, "web").code == 0
        assert operator.asked_by_all() == {other.node}
        assert operator.states() == {one.node: "drained", other.node: "enabled"}

    (view,) = operator.says("back", "weight", one.node, other.node, "5")
    assert [member["weight"] for member in view["members"]] == [5, 5]
    (view,) = operator.says("back", "weight", one.node, "conf")
    assert [member["weight"] for member in view["members"]] == [1, 5]

    operator.says("back", "enable", one.node)
    assert server.get("/map").json() == [one.node, other.node]

    home.write_conf("web", port=server.port, processes=2, sections=section([other]))
    operator.says("back", "drain", one.node)
    assert home.run("reload", "web").code == 0
    home.write_conf("web", port=server.port, processes=2, sections=section(members))
    assert home.run("reload", "web").code == 0
    assert operator.states() == {one.node: "enabled", other.node: "enabled"}
    assert server.stop() == 0


def _all_ready(server: Server, without: int) -> bool:
    workers = server.status().workers
    return len(workers) == 2 and all(
        each.state == "ready" and each.pid != without for each in workers
    )


def test_calls_to_a_member_that_is_disabled_end_at_once(
    home: Home, members: list[FaultServer]
) -> None:
    """They go on to another one; while it is drained only, they are waited for and shown."""
    one, other = members
    server = home.serve("web", apps={"webapp.py": APP}, sections=section([one]))
    operator = Operator(home, server)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(server.get, "/lb?path=gate/a")
        one.wait_seen(1)
        (view,) = operator.says("back", "drain", one.node)
        (member,) = view["members"]
        assert (member["in_flight"], member["busy"]) == (1, 1)
        assert " draining " in command(home, "back").stdout
        operator.says("back", "disable", one.node)
        answer = waiting.result().json()
    assert answer["status"] == FAILED
    assert f"{one.node} was disabled by an operator" in answer["msg"]
    assert server.stop() == 0
    assert not other.seen


def test_requests_that_are_passed_on_go_by_it_too(home: Home, members: list[FaultServer]) -> None:
    """Sticky clients as well; a request that is cut off is repeated, if it may be."""
    one, other = members
    server = home.serve(
        "web",
        apps={"webapp.py": APP},
        routes="/ = {app}/webapp\n/through = @back",
        sections=section(members) + "sticky = to\nbalance = roundrobin\n",
    )
    operator = Operator(home, server)
    told = [server.get("/through/text").headers["Set-Cookie"] for _ in range(2)]
    assert len(one.seen) == len(other.seen) == 1
    cookies = [{"Cookie": each.partition(";")[0]} for each in told]
    operator.says("back", "drain", one.node)
    for cookie in cookies:
        assert server.get("/through/text", cookie).status == 200
    assert (len(one.seen), len(other.seen)) == (1, 3)
    (view,) = operator.says("back")
    assert [member["idle"] for member in view["members"]] == [0, 1]

    operator.says("back", "enable", one.node)
    operator.says("back", "drain", other.node)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(server.get, "/through/gate/a")
        one.wait_seen(2)
        operator.says("back", "enable", other.node)
        other.open("a")
        operator.says("back", "disable", one.node)
        assert waiting.result().status == 200
    assert other.paths_seen[-1] == "/gate/a"

    operator.says("back", "disable", other.node)
    assert server.get("/through/text").status == 503
    server.wait_log("no member of [@back] can be asked: ")
    assert server.stop() == 0


def test_what_is_not_there_changes_nothing(home: Home, members: list[FaultServer]) -> None:
    """Each mistake is told with what there is."""
    server = home.serve("web", apps={"webapp.py": APP}, sections=section(members))
    one, other = (each.node for each in members)
    mistakes = {
        ("bakc",): (1, "no cluster [@bakc] of HTTP servers; did you mean back?; there are: @back"),
        ("back", "drain", one, one[:-1]): (1, f"[@back] has no member {one[:-1]}; did you mean"),
        ("back", "drain"): (2, "which members?"),
        ("back", "weight", one): (2, "a weight is a whole number from 1, or conf"),
        ("back", "weight", one, "0"): (2, "a weight is a whole number from 1, or conf"),
        ("back", "stop", one): (2, "'stop' is not one of 'drain', 'enable', 'disable', 'weight'"),
        ("back", "--server", "api"): (1, "api is not running"),
    }
    for words, (code, text) in mistakes.items():
        ran = command(home, *words)
        assert (ran.exit_code, text in ran.stderr) == (code, True), ran.stderr
    assert Operator(home, server).states() == {one: "enabled", other: "enabled"}
    assert server.stop() == 0
    assert "no server is running" in command(home).stderr


def test_a_worker_that_hangs_is_told_of(home: Home, members: list[FaultServer]) -> None:
    """It is counted, and does not hold up the answer for long; it goes by what was said later."""
    server = home.serve("web", apps={"webapp.py": APP}, processes=2, sections=section(members))
    operator = Operator(home, server)
    hung, _ = server.workers()
    os.kill(hung, signal.SIGSTOP)
    try:
        (view,) = operator.says("back", "drain", members[0].node)
        assert (view["workers"], view["silent"]) == (1, 1)
        assert "1 worker, 1 gave no answer" in command(home, "back").stdout
    finally:
        os.kill(hung, signal.SIGCONT)
    assert operator.asked_by_all() == {members[1].node}
    assert server.stop() == 0


def test_servers_with_one_cluster_change_together(home: Home, members: list[FaultServer]) -> None:
    """Unless one of them is named."""
    one, other = members
    servers = [
        home.serve(name, apps={"webapp.py": APP}, sections=sections)
        for name, sections in (("web", section(members)), ("api", section([one])))
    ]
    web, api = (Operator(home, server) for server in servers)
    views = web.says("back", "drain", one.node)
    assert sorted(view["server"] for view in views) == ["api", "web"]
    assert web.states() == {one.node: "drained", other.node: "enabled"}
    assert api.states() == {one.node: "drained"}
    web.says("back", "enable", one.node, "--server", "web")
    assert web.states()[one.node] == "enabled"
    assert api.states()[one.node] == "drained"
    assert [server.stop() for server in servers] == [0, 0]
