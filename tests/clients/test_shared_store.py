"""Results that workers share in a Valkey or Redis server: a real one, where there is one."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from asking import Ground, asking, on_uvloop, until
from fault_server import PATIENCE, FaultServer
from operator_session import Home
from valkey import PROGRAM, Valkey
from waits import wait_until

from skitai import asks, rcache
from skitai.engine import Call, Keep, Members, Origin, Reach, Reply
from skitai.rcache import Entry, Hit, Key
from skitai.results import Status
from skitaid.workers.clients.shared_store import SharedStore

needs_server = pytest.mark.skipif(PROGRAM is None, reason="no valkey-server and no redis-server")


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path)
    try:
        yield server
    finally:
        server.stop()


KEY = Key(Origin("example.com", 80, tls=False), b"GET / HTTP/1.1\r\n", b"", b"", 0)


def is_ok(reply: Reply) -> bool:
    return reply.code == 200


def entry(body: bytes = b"body", seconds: float = 60.0, stale: float = 0.0) -> Entry:
    reply = Reply(0, "s0:80", Status.NORMAL, 200, "", ((b"A", b"b\xff"),), body, 0.25)
    call = Call(KEY.target, asks.get(b"/"), 3.0)  # type: ignore[arg-type]
    call.nodes = ("s0:80",)
    call.replies.append(reply)
    return rcache.entry_of(call, seconds, stale)


@contextmanager
def sharing(faults: FaultServer, url: str) -> Iterator[tuple[Ground, Callable[..., SharedStore]]]:
    """A worker, and what makes its store, or those of others: `store(name)`."""
    with asking(faults) as ground:
        made: list[SharedStore] = []

        def store(name: str = "web") -> SharedStore:
            loop = asyncio.get_running_loop()
            made.append(SharedStore(loop, url, name, ground.engine._handoff))
            ground.flights.store = made[-1]
            return made[-1]

        try:
            yield ground, store
        finally:
            for each in made:
                each.close()


async def fetch(shared: SharedStore, stale: float = 0.0) -> Hit | None:
    found: asyncio.Future[Hit | None] = asyncio.get_running_loop().create_future()
    shared.fetch(KEY, stale, found.set_result)
    return await found


async def at_rest(shared: SharedStore) -> None:
    """When all that was posted is done."""
    await asyncio.sleep(0)
    await until(lambda: not shared._tasks)


async def kept(shared: SharedStore) -> None:
    """When what was put is there."""
    await at_rest(shared)
    assert await fetch(shared, 1000.0)


@needs_server
@on_uvloop
async def test_what_one_has_put_another_is_given(faults: FaultServer, valkey: Valkey) -> None:
    """Each reply as it came, byte for byte."""
    with sharing(faults, valkey.url) as (_, store):
        one, other = (store() for _ in range(2))
        put = entry()
        one.put(KEY, put)
        await kept(one)
        assert await fetch(other) == Hit(put, False)
        other.drop(KEY)
        await at_rest(other)
        assert await fetch(one) is None


@needs_server
@on_uvloop
async def test_servers_of_another_name_do_not_meet(faults: FaultServer, valkey: Valkey) -> None:
    """Their clusters may be others."""
    with sharing(faults, valkey.url) as (_, store):
        one, other = store("web"), store("shop")
        one.put(KEY, entry())
        await kept(one)
        assert await fetch(other) is None


@needs_server
@on_uvloop
async def test_all_that_servers_of_a_name_keep_is_forgotten(
    faults: FaultServer, valkey: Valkey
) -> None:
    """Who put it there does not matter; what others keep there stays."""
    with sharing(faults, valkey.url) as (_, store):
        one, other, shop = store("web"), store("web"), store("shop")
        for each in (one, shop):
            each.put(KEY, entry())
            await kept(each)
        for number in range(2000):  # more than one step of the search
            valkey.ask("SET", f"skitai:web:{number}", "x")
        other.clear()
        await at_rest(other)
        assert await fetch(one) is None
        assert await fetch(shop) is not None
        assert valkey.ask("DBSIZE") == b":1\r\n"


@needs_server
@on_uvloop
async def test_the_first_entry_stays_while_it_is_fresh(faults: FaultServer, valkey: Valkey) -> None:
    """As in a worker's memory."""
    with sharing(faults, valkey.url) as (_, store):
        shared = store()
        shared.put(KEY, entry(b"first"))
        await kept(shared)
        shared.put(KEY, entry(b"second"))
        await at_rest(shared)
        hit = await fetch(shared)
        assert hit is not None and hit.entry.replies[0].body == b"first"


@needs_server
@on_uvloop
async def test_one_of_all_is_told_to_refresh(faults: FaultServer, valkey: Valkey) -> None:
    """And only those who take stale answers are given one."""
    with sharing(faults, valkey.url) as (_, store):
        shared = [store() for _ in range(3)]
        shared[0].put(KEY, entry(seconds=0.0, stale=300.0))
        await kept(shared[0])  # this one takes the turn
        hits = [await fetch(each, 300.0) for each in shared]
        assert [hit.is_due for hit in hits if hit is not None] == [False] * 3
        assert await fetch(shared[0]) is None
        assert b":1\r\n" in valkey.ask("EVAL", "\"return #redis.call('keys','*:due')\"", "0")


@needs_server
@on_uvloop
async def test_it_lasts_no_longer_than_it_may(faults: FaultServer, valkey: Valkey) -> None:
    """The server itself forgets it."""
    with sharing(faults, valkey.url) as (_, store):
        shared = store()
        shared.put(KEY, entry(seconds=60.0, stale=40.0))
        await kept(shared)
        left = valkey.ask("PTTL", shared._name(KEY).decode())
        assert 90_000 < int(left[1:]) <= 100_000


@needs_server
@on_uvloop
async def test_a_hung_server_is_an_empty_cache(faults: FaultServer, valkey: Valkey) -> None:
    """The members are asked, and it is left alone for a while."""
    with sharing(faults, valkey.url) as (ground, store):
        shared = store()
        valkey.send(signal.SIGSTOP)
        assert await fetch(shared) is None
        assert shared.status() == {"hits": 0, "failures": 1}
        assert await fetch(shared) is None
        assert shared.status()["failures"] == 1  # it was not asked again
        call = Call(Members("all", Reach.ONE), asks.get(b"/path"), PATIENCE, Keep(60, 0, is_ok))
        ground.engine.send(call)
        await until(lambda: call.is_complete and bool(call.replies))
        assert call.replies[0].body == b"/path"


@on_uvloop
async def test_no_server_is_an_empty_cache(faults: FaultServer, tmp_path: Path) -> None:
    """For calls that are kept and for those that are not."""
    with sharing(faults, f"unix://{tmp_path}/nobody.sock") as (ground, store):
        store()
        for keep in (Keep(60, 0, is_ok), None):
            call = Call(Members("all", Reach.ONE), asks.get(b"/path"), PATIENCE, keep)
            ground.engine.send(call)
            await until(lambda call=call: bool(call.replies))  # type: ignore[misc]
        assert len(faults.seen) == 2


@needs_server
@on_uvloop
async def test_garbage_in_the_cache_is_no_answer(faults: FaultServer, valkey: Valkey) -> None:
    """Somebody else has written there."""
    with sharing(faults, valkey.url) as (_, store):
        shared = store()
        valkey.ask("SET", shared._name(KEY).decode(), "garbage")
        assert await fetch(shared) is None
        assert shared.status()["failures"] == 1


APP = """\
import json
from skitai.server import ssgi
app = ssgi.Application(__name__)

@app.route("/ask")
def ask(was, url):
    rs = was.wget(url, cache=60).getwait(30)
    return json.dumps([rs.data, rs.is_cached])

@app.route("/plain")
def plain(was, url):
    rs = was.wget(url).getwait(30)
    rs.cache(60)
    return json.dumps([rs.data, rs.is_cached])

@app.route("/figures")
def figures(was):
    return was.rcache.status()
"""


@needs_server
def test_workers_share_what_they_keep(home: Home, faults: FaultServer, valkey: Valkey) -> None:
    """`result_cache = unix://...` in the conf: one server asks, the next finds it."""
    servers = []
    for name in ("a", "b"):
        more = f"result_cache = {valkey.url}\nname = web\n"
        servers.append(home.serve(name, apps={"webapp.py": APP}, more=more))
    for way, path in (("/ask", "/path"), ("/plain", "/path/other")):
        target = f"{way}?url={faults.url(path)}"
        assert servers[0].get(target).json() == [path, False]
        wait_until(lambda: servers[1].get(target).json() == [path, True], "its being kept")  # noqa: B023
        assert servers[0].get(target).json() == [path, True]
    for server in servers:
        assert server.get("/figures").json()["failures"] == 0
        assert server.stop() == 0
