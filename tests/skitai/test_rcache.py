"""The memory of the result cache: what it gives, for how long, and what it never holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from imagined_engine import reply

from skitai import asks, rcache
from skitai.engine import Ask, Call, Keep, Members, Origin, Reach
from skitai.rcache import RETRY, Entry, Key, Memory
from skitai.results import Status

WEB = Origin("example.com", 80, tls=False)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def key(name: str) -> Key:
    return Key(WEB, name.encode(), b"", b"", 0)


def entry(body: bytes = b"", seconds: float = 60.0, stale: float = 0.0) -> Entry:
    return Entry((reply(body),), ("s0:80",), 1.7e9, seconds, stale)


A, B, C = key("a"), key("b"), key("c")
ONE = A.size + entry().size  # bytes of an entry without a body


def held(memory: Memory, *keys: Key) -> list[bool]:
    return [memory.look(each, 0.0) is not None for each in keys]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(clock: Clock) -> Memory:
    return Memory(3, 1024 * 1024, clock)


# --- how long ---


def test_nothing_is_given_from_its_last_moment_on(memory: Memory, clock: Clock) -> None:
    """Sixty seconds are not a moment more."""
    memory.put(A, entry(seconds=60.0))
    clock.now += 59.9
    assert held(memory, A) == [True]
    clock.now += 0.1
    assert held(memory, A) == [False]


def test_use_does_not_make_an_entry_last(memory: Memory, clock: Clock) -> None:
    """However often it is looked at."""
    memory.put(A, entry(seconds=10.0))
    for _ in range(9):
        clock.now += 1.0
        assert held(memory, A) == [True]
    clock.now += 1.0
    assert held(memory, A) == [False]


def test_the_first_entry_stays_while_it_is_fresh(memory: Memory, clock: Clock) -> None:
    """Whoever comes later does not put off its end."""
    memory.put(A, entry(b"first", seconds=10.0))
    clock.now += 5.0
    memory.put(A, entry(b"second", seconds=10.0))
    hit = memory.look(A, 0.0)
    assert hit is not None and hit.entry.replies[0].body == b"first"
    clock.now += 5.0
    assert held(memory, A) == [False]


def test_a_stale_entry_is_for_those_who_take_stale_ones(memory: Memory, clock: Clock) -> None:
    """For as long as they say, and as it was kept for."""
    memory.put(A, entry(seconds=60.0, stale=300.0))
    clock.now += 100.0
    assert memory.look(A, 0.0) is None
    assert memory.look(A, 40.0) is None
    assert memory.look(A, 41.0) is not None
    clock.now += 260.0
    assert memory.look(A, 1000.0) is None


def test_one_at_a_time_is_told_to_refresh(memory: Memory, clock: Clock) -> None:
    """And another a moment later, if that has brought nothing."""
    memory.put(A, entry(seconds=60.0, stale=300.0))

    def dues() -> list[bool]:
        hits = [memory.look(A, 300.0) for _ in range(3)]
        return [hit.is_due for hit in hits if hit is not None]

    assert dues() == [False, False, False]
    clock.now += 60.0
    assert dues() == [True, False, False]
    clock.now += RETRY
    assert dues() == [True, False, False]


def test_what_has_gone_stale_is_replaced(memory: Memory, clock: Clock) -> None:
    """By what its refresh has brought."""
    memory.put(A, entry(b"old", seconds=60.0, stale=300.0))
    clock.now += 61.0
    memory.put(A, entry(b"new", seconds=60.0, stale=300.0))
    hit = memory.look(A, 0.0)
    assert hit is not None and hit.entry.replies[0].body == b"new"
    assert not hit.is_due


def test_dropped_is_gone(memory: Memory) -> None:
    """And dropping nothing is nothing."""
    memory.put(A, entry())
    memory.drop(A)
    memory.drop(B)
    assert held(memory, A, B) == [False, False]
    assert memory.is_empty


# --- how much ---


def test_beyond_its_entries_the_least_used_goes(memory: Memory) -> None:
    """To be given is to be used."""
    for each in (A, B, C):
        memory.put(each, entry())
    memory.look(A, 0.0)
    memory.put(key("d"), entry())
    assert held(memory, A, B, C, key("d")) == [True, False, True, True]
    assert memory.status()["dropped"] == 1


def test_beyond_its_bytes_the_least_used_go(clock: Clock) -> None:
    """As many as it takes."""
    memory = Memory(100, 3 * ONE, clock)
    for each in (A, B, C):
        memory.put(each, entry())
    memory.put(key("d"), entry(bytes(ONE)))
    assert held(memory, A, B, C, key("d")) == [False, False, True, True]


def test_what_is_larger_than_all_is_not_kept(clock: Clock) -> None:
    """And nothing goes for it."""
    memory = Memory(100, 3 * ONE, clock)
    memory.put(A, entry())
    memory.put(B, entry(bytes(3 * ONE)))
    assert held(memory, A, B) == [True, False]


def test_a_cache_of_no_entries_keeps_nothing(clock: Clock) -> None:
    """`num_result_cache_max = 0`."""
    memory = Memory(0, 1024 * 1024, clock)
    memory.put(A, entry())
    assert held(memory, A) == [False]


def test_the_status_counts_what_is_of_use(memory: Memory, clock: Clock) -> None:
    """Not what has had its time."""
    memory.put(A, entry(seconds=1.0))
    memory.put(B, entry())
    memory.look(B, 0.0)
    clock.now += 1.0
    assert memory.status() == {
        "entries": 1,
        "entries_max": 3,
        "bytes": ONE,
        "bytes_max": 1024 * 1024,
        "hits": 1,
        "dropped": 0,
    }


class Book(RuleBasedStateMachine):
    """Any order of use. `put` is what the book may know of each key, and until when."""

    ENTRIES, SIZE = 4, 6 * ONE
    keys = st.sampled_from([key(name) for name in "abcdefgh"])

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.memory = Memory(self.ENTRIES, self.SIZE, self.clock)
        self.known: dict[Key, tuple[Entry, float]] = {}

    @rule(
        each=keys, size=st.integers(0, 4 * ONE), seconds=st.integers(0, 9), stale=st.integers(0, 9)
    )
    def put(self, each: Key, size: int, seconds: int, stale: int) -> None:
        new = entry(bytes(size), float(seconds), float(stale))
        before = self.known.get(each)
        self.memory.put(each, new)
        hit = self.memory.look(each, 0.0)
        is_fresh = before is not None and self.clock.now < before[1] + before[0].seconds
        if hit is not None and is_fresh and hit.entry is before[0]:  # type: ignore[index]
            return
        self.known[each] = (new, self.clock.now)

    @rule(each=keys, stale=st.integers(0, 12))
    def look(self, each: Key, stale: int) -> None:
        hit = self.memory.look(each, float(stale))
        if hit is None:
            return
        known, since = self.known[each]
        assert hit.entry is known
        age = self.clock.now - since
        assert age < known.seconds + min(stale, known.stale)
        assert not hit.is_due or age >= known.seconds

    @rule(each=keys)
    def drop(self, each: Key) -> None:
        self.memory.drop(each)
        assert self.memory.look(each, 100.0) is None

    @rule(each=keys)
    def clear(self, each: Key) -> None:
        self.memory.clear()
        assert self.memory.is_empty
        assert self.memory.look(each, 100.0) is None
        assert self.memory.status()["bytes"] == 0

    @rule(seconds=st.integers(1, 5))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds

    @precondition(lambda self: self.known)
    @rule()
    def status(self) -> None:
        self.memory.status()

    @invariant()
    def is_bounded(self) -> None:
        kept = self.memory._kept
        assert len(kept) <= self.ENTRIES
        assert self.memory._size == sum(k.size + each.entry.size for k, each in kept.items())
        assert self.memory._size <= self.SIZE


TestBook = Book.TestCase


@given(st.integers(1, 8), st.lists(st.integers(0, 20), max_size=60))
def test_what_was_used_last_stays(entries: int, order: list[int]) -> None:
    """The last so many different ones are there, and no others."""
    memory = Memory(entries, 1024 * 1024, Clock())
    for number in order:
        if memory.look(key(str(number)), 0.0) is None:
            memory.put(key(str(number)), entry())
    latest = list(dict.fromkeys(reversed(order)))
    for place, number in enumerate(latest):
        assert (key(str(number)) in memory._kept) == (place < entries)


# --- keys ---


def call(ask: Ask, target: Origin | Members = WEB) -> Call:
    return Call(target, ask, 3.0)


def test_the_key_is_whom_and_what() -> None:
    """The server, the method, the path, the fields of the app, the body: each makes another key."""
    plain = asks.get(b"/a")
    calls = [
        call(plain),
        call(plain, Origin("example.com", 81, tls=False)),
        call(plain, Origin("example.com", 80, tls=True)),
        call(plain, Members("example.com", Reach.ONE)),
        call(plain, Members("example.com", Reach.ALL)),
        call(asks.get(b"/b")),
        call(asks.post(b"/a", b"text/plain", b"")),
        call(asks.post(b"/a", b"text/plain", b"x")),
        call(asks.post(b"/a", b"text/html", b"")),
    ]
    assert len({rcache.key_of(each) for each in calls}) == len(calls)
    assert rcache.key_of(call(asks.get(b"/a"))) == rcache.key_of(call(plain))


def test_how_a_member_is_chosen_is_not_in_the_key() -> None:
    """The answer is the same whoever gives it, and however fast."""
    asked = [
        call(asks.get(b"/a"), Members("all", Reach.ONE, hedge=hedge, key=key))
        for hedge, key in [(None, None), (0.05, None), (None, b"k")]
    ]
    assert len({rcache.key_of(each) for each in asked}) == 1


def test_only_complete_and_good_replies_are_good() -> None:
    """A map of two of which one has failed is not."""
    keep = Keep(60.0, 0.0, lambda reply: reply.status is Status.NORMAL)
    asked = call(asks.get(b"/a"))
    asked.nodes = ("s0:80", "s1:80")
    assert not rcache.is_good(asked, keep)
    asked.replies.append(reply(member=0))
    assert not rcache.is_good(asked, keep)
    asked.replies.append(reply(member=1, status=Status.FAILED))
    assert not rcache.is_good(asked, keep)
    asked.replies[1] = reply(member=1)
    assert rcache.is_good(asked, keep)
