"""Names of servers: looked up once for all who wait, remembered, not lost in an outage."""

from __future__ import annotations

import asyncio
import socket

import pytest
from asking import exchange, on_uvloop, until
from fetching import get

from skitai.results import Status
from skitaid.workers.clients import names
from skitaid.workers.clients.dial import Address
from skitaid.workers.clients.keeper import ConnectionKeeper
from skitaid.workers.clients.names import FRESH, KNOWN_MAX, Names, Place, in_turn

FOUR, SIX = socket.AF_INET, socket.AF_INET6


class Resolver:
    """A resolver that answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.answers: asyncio.Queue[list[Place] | OSError] = asyncio.Queue()

    async def look_up(self, host: str, port: int) -> list[Place]:
        self.asked.append((host, port))
        answer = await self.answers.get()
        if isinstance(answer, OSError):
            raise answer
        return answer


def place(number: int) -> Place:
    return Place(FOUR, (f"10.0.0.{number}", 80))


def grow_old(known: Names) -> None:
    for server, entry in known._known.items():
        known._known[server] = entry._replace(until=entry.until - FRESH)


@on_uvloop
async def test_a_name_that_does_not_resolve_is_status_0() -> None:
    """The sentence says that it is the name (RFC 6761: invalid never resolves)."""
    keeper = ConnectionKeeper(asyncio.get_running_loop(), Address("host.invalid", 80), 1)
    outcome = await exchange(keeper, get("/"))
    assert outcome.status is Status.NOT_CONNECTED
    start = "no connection to host.invalid:80: its name cannot be looked up: "
    assert outcome.msg.startswith(start) or outcome.msg.endswith("none within 2 s")
    assert keeper.pool.size == 0


@on_uvloop
async def test_all_who_wait_hear_of_a_failure() -> None:
    """And the next one tries again: no failure is remembered."""
    resolver = Resolver()
    known = Names(resolver.look_up)
    asking = [asyncio.create_task(known.places("s1", 80)) for _ in range(3)]
    resolver.answers.put_nowait(OSError("no such name"))
    for each in asking:
        with pytest.raises(OSError, match="no such name"):
            await each
    resolver.answers.put_nowait([place(1)])
    assert await known.places("s1", 80) == [place(1)]
    assert resolver.asked == [("s1", 80)] * 2


@on_uvloop
async def test_one_lookup_serves_all() -> None:
    """Whoever asks meanwhile, and for a while after; another port is another question."""
    resolver = Resolver()
    known = Names(resolver.look_up)
    asking = [asyncio.create_task(known.places("s1", 80)) for _ in range(3)]
    resolver.answers.put_nowait([place(1)])
    assert await asyncio.gather(*asking) == [[place(1)]] * 3
    assert await known.places("s1", 80) == [place(1)]
    assert resolver.asked == [("s1", 80)]
    resolver.answers.put_nowait([place(2)])
    assert await known.places("s1", 81) == [place(2)]


@on_uvloop
async def test_one_who_leaves_takes_the_answer_from_nobody() -> None:
    """A call that is cancelled does not end the lookup of the others."""
    resolver = Resolver()
    known = Names(resolver.look_up)
    leaving, staying = (asyncio.create_task(known.places("s1", 80)) for _ in range(2))
    await until(lambda: bool(resolver.asked))
    leaving.cancel()
    await asyncio.wait([leaving])
    resolver.answers.put_nowait([place(1)])
    assert await staying == [place(1)]


@on_uvloop
async def test_a_failure_that_nobody_waits_for_is_nobodys() -> None:
    """It is not told of as an exception that was never looked at."""
    resolver = Resolver()
    known = Names(resolver.look_up)
    leaving = asyncio.create_task(known.places("s1", 80))
    await until(lambda: bool(resolver.asked))
    leaving.cancel()
    await asyncio.wait([leaving])
    resolver.answers.put_nowait(OSError("no such name"))
    await until(lambda: not known._lookups)


@on_uvloop
async def test_a_name_is_looked_up_again_after_a_while() -> None:
    """So a server that moves is found."""
    resolver = Resolver()
    known = Names(resolver.look_up)
    for number in (1, 2):
        resolver.answers.put_nowait([place(number)])
        assert await known.places("s1", 80) == [place(number)]
        grow_old(known)


@on_uvloop
async def test_what_was_known_outlives_an_outage_of_the_resolver() -> None:
    """The server may be up all the same."""
    resolver = Resolver()
    known = Names(resolver.look_up)
    for answer in ([place(1)], OSError("the resolver is down"), [place(2)]):
        resolver.answers.put_nowait(answer)
        expected = [place(2)] if answer == [place(2)] else [place(1)]
        assert await known.places("s1", 80) == expected
        grow_old(known)


@on_uvloop
async def test_a_place_in_doubt_is_looked_up_again() -> None:
    """When nobody could be reached there, without waiting until it is old."""
    resolver = Resolver()
    known = Names(resolver.look_up)
    for number in (1, 2):
        resolver.answers.put_nowait([place(number)])
        assert await known.places("s1", 80) == [place(number)]
        known.doubt("s1", 80)
        known.doubt("unknown", 80)


@on_uvloop
async def test_no_more_names_are_remembered_than_so_many() -> None:
    """Whoever was looked up first is forgotten first."""
    resolver = Resolver()
    known = Names(resolver.look_up)
    for port in range(KNOWN_MAX + 1):
        resolver.answers.put_nowait([place(1)])
        await known.places("s1", port)
    assert len(known._known) == KNOWN_MAX
    assert ("s1", 0) not in known._known


@on_uvloop
async def test_addresses_need_no_lookup() -> None:
    """They are what they say, in both families."""
    assert await names.by_system("127.0.0.1", 80) == [Place(FOUR, ("127.0.0.1", 80))]
    (six,) = await names.by_system("::1", 80)
    assert (six.family, six.address[:2]) == (SIX, ("::1", 80))


def test_families_take_turns() -> None:
    """RFC 8305 section 4, whichever the system names first."""
    sixes = [Place(SIX, (f"::{number}", 80, 0, 0)) for number in range(3)]
    assert in_turn([*sixes, place(1)]) == [sixes[0], place(1), *sixes[1:]]
    assert in_turn([place(1), *sixes]) == [place(1), *sixes]
    assert in_turn([place(1), place(2)]) == [place(1), place(2)]
