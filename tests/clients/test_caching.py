"""Results that are kept: handlers of a real server that ask the same again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from fault_server import FaultServer
from operator_session import Home
from served import Server
from waits import wait_until

APP = (Path(__file__).parent / "app_that_caches.py").read_text()
CROWD = 1000
MOZART = ["Mozart 1", "Mozart 2"]


@dataclass
class Town:
    """A server of one worker, and two whom its handlers ask."""

    server: Server
    good: FaultServer
    other: FaultServer

    def ask(self, path: str, **query: str) -> Any:
        reply = self.server.get(f"{path}?{urlencode(query)}" if query else path)
        assert reply.status == 200, reply.text
        return reply.json()

    def seen(self, path: str) -> int:
        """How often the first member was asked for it."""
        return self.good.paths_seen.count(path)


@pytest.fixture
def town(home: Home) -> Iterator[Town]:
    with ExitStack() as stack:
        good, other = (stack.enter_context(FaultServer()) for _ in range(2))
        server = home.serve(
            "caching",
            apps={"webapp.py": APP},
            sections=f"[@pair]\nmembers = {good.node}, {other.node}\n",
            more=f"threads_max = {CROWD + 10}\nnum_result_cache_max = 20\n",
        )
        yield Town(server, good, other)
        assert server.stop() == 0


def test_a_result_that_was_cached_is_given_again(town: Town) -> None:
    """`result.cache (timeout = 300)`: nobody is asked, until it is expired."""
    url = town.good.url("/path")
    assert town.ask("/result", url=url) == [3, "/path", False]
    assert town.ask("/plain", url=url) == [3, "/path", True]
    assert town.ask("/expired", url=url) == [3, "/path", True]
    assert town.ask("/plain", url=url) == [3, "/path", False]
    assert town.seen("/path") == 2


def test_a_timeout_of_nothing_expires(town: Town) -> None:
    """`result.cache (0)`."""
    url = town.good.url("/path")
    town.ask("/result", url=url)
    assert town.ask("/result", url=url, timeout="0") == [3, "/path", True]
    assert town.ask("/plain", url=url) == [3, "/path", False]


@pytest.mark.parametrize("path", ["/broken", "/close", "/nowhere"])
def test_what_is_not_200_is_not_kept(town: Town, path: str) -> None:
    """By neither way."""
    url = town.good.url(path)
    for way in ("/result", "/beforehand"):
        told = [town.ask(way, url=url) for _ in range(2)]
        assert [is_cached for _, _, is_cached in told] == [False, False]
    assert town.ask("/figures")["entries"] == 0


def test_results_of_a_map_are_kept_together(town: Town) -> None:
    """`results.cache (timeout = 60)`, XML-RPC."""
    fresh = [[[3, 42, False], [3, 42, False]], False]
    kept = [[[3, 42, True], [3, 42, True]], True]
    assert [town.ask("/results", cluster="pair/rpc2") for _ in range(3)] == [fresh, kept, kept]
    assert len(town.good.seen) == len(town.other.seen) == 1


def test_one_result_of_a_map_is_not_kept(town: Town) -> None:
    """Who asks for all must get all."""
    assert town.ask("/member", cluster="pair/rpc2") == [[3, 2, False]] * 2
    assert town.ask("/member", cluster="pair/rpc2") == [[3, 2, False]] * 2


def test_a_call_says_beforehand_that_it_is_kept(town: Town) -> None:
    """`cache = 60`; from handlers of both kinds."""
    url = town.good.url("/path")
    assert town.ask("/beforehand", url=url) == [3, "/path", False]
    wait_until(lambda: town.ask("/figures")["entries"], "the answer's being kept")
    for way in ("/beforehand", "/async", "/plain"):
        assert town.ask(way, url=url) == [3, "/path", True]
    assert town.seen("/path") == 1


def test_a_fault_is_not_kept(town: Town) -> None:
    """It comes as HTTP 200, which is seen when it is read."""
    url = town.good.url("/rpc2")
    found, fault = town.ask("/rpc", url=url)
    assert (found, fault[0]) == ([3, MOZART, False], 2)
    wait_until(lambda: not town.ask("/figures")["flights"], "both being judged")
    found, fault = town.ask("/rpc", url=url)
    assert found == [3, MOZART, True]
    assert fault[0] == 2 and not fault[2]
    assert len(town.good.seen) == 3


def test_lb_is_kept_whoever_has_answered(town: Town) -> None:
    """The next one asks nobody, not the other member."""
    assert town.ask("/lb", cluster="pair") == [3, 3, False]
    wait_until(lambda: town.ask("/figures")["entries"], "the answer's being kept")
    assert town.ask("/lb", cluster="pair") == [3, 3, True]
    assert len(town.good.seen) + len(town.other.seen) == 1


def test_everybody_has_a_copy_of_his_own(town: Town) -> None:
    """What a filter or a handler does to it, nobody else sees."""
    assert town.ask("/filtered", cluster="pair/rpc2") == [
        MOZART[:1],
        [*MOZART, "scribbled"],
        MOZART,
    ]


def test_another_login_asks_again(town: Town) -> None:
    """And is told what is for him."""
    url = town.good.url("/echo")
    for user in ("hans", "grete"):
        town.ask("/login", url=url, user=user)
    wait_until(lambda: town.ask("/figures")["entries"] == 2, "both answers being kept")
    hans, grete = (town.ask("/login", url=url, user=user) for user in ("hans", "grete"))
    assert hans[2] and grete[2]
    first, second = (json.loads(told[1])["fields"]["authorization"] for told in (hans, grete))
    assert first != second


def test_a_stale_answer_is_given_while_it_is_renewed(town: Town) -> None:
    """And when there is nobody left to renew it."""
    url = town.good.url("/path")
    assert town.ask("/stale", url=url) == [3, "/path", False]
    wait_until(lambda: town.ask("/figures")["entries"], "the answer's being kept")
    assert town.ask("/stale", url=url) == [3, "/path", True]
    wait_until(lambda: town.seen("/path") == 2, "its being renewed")
    town.good.close()
    assert town.ask("/stale", url=url) == [3, "/path", True]


def test_stale_without_cache_is_refused(town: Town) -> None:
    """With what to write."""
    reply = town.server.get("/wrong?url=http://example.com")
    assert reply.text == "stale= goes on where cache= ends; write cache=60, stale=300"


def test_the_figures_are_those_of_the_worker(town: Town) -> None:
    """`was.rcache.status ()`."""
    url = town.good.url("/path")
    town.ask("/beforehand", url=url)
    wait_until(lambda: not town.ask("/figures")["flights"], "the answer's being judged")
    town.ask("/beforehand", url=url)
    figures = town.ask("/figures")
    assert 0 < figures.pop("bytes") < 4096
    assert figures == {
        "entries": 1,
        "entries_max": 20,
        "bytes_max": 64 * 1024 * 1024,
        "hits": 1,
        "misses": 1,
        "joined": 0,
        "flights": 0,
        "dropped": 0,
    }


def test_a_thousand_misses_at_once_send_one_request(town: Town) -> None:
    """A thousand handlers wait for it, and each has the answer."""
    url = town.good.url("/gate/all")
    target = f"/beforehand?{urlencode({'url': url})}"
    with ThreadPoolExecutor(2) as pool:
        connections = [town.server.connect() for _ in range(CROWD)]
        for each in connections:
            each.request("GET", target)
        town.good.wait_seen(1)
        wait_until(lambda: town.ask("/figures")["misses"] == CROWD, "all handlers' asking")
        town.good.open("all")
        told = pool.map(lambda each: json.loads(each.getresponse().read()), connections)
        assert list(told) == [[3, "/gate/all", False]] * CROWD
    for each in connections:
        each.close()
    assert town.seen("/gate/all") == 1


def test_a_handler_that_gives_up_takes_nothing_from_the_others(town: Town) -> None:
    """Though it was the one whose asking is waited for."""
    url = town.good.url("/gate/one")
    with ThreadPoolExecutor(1) as pool:
        hasty = pool.submit(town.ask, "/impatient", url=url, timeout="0.5")
        town.good.wait_seen(1)
        patient = town.server.connect()
        patient.request("GET", f"/beforehand?{urlencode({'url': url})}")
        assert hasty.result()[0] == 1
        town.good.open("one")
        assert json.loads(patient.getresponse().read()) == [3, "/gate/one", False]
        patient.close()
    assert town.seen("/gate/one") == 1
