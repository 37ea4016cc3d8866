"""The book of connections: in any history its promises hold, and nobody is forgotten."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from skitaid.workers.clients.pool import Pool


@dataclass
class Imagined:
    """A keeper without sockets: does what the book says, and checks what it gets for it."""

    pool: Pool[str, int]
    dials: int = 0  # connections on their way
    busy: set[str] = field(default_factory=set)
    idle: list[str] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    made: count[int] = field(default_factory=count)

    def wants(self) -> None:
        connection = self.pool.take()
        if connection is not None:
            assert connection == self.idle.pop(), "the youngest is used first"
            self.busy.add(connection)
            return
        waiter = next(self.made)
        self.waiting.append(waiter)
        self.dials += self.pool.wait(waiter)

    def gives_up(self, waiter: int) -> None:
        self.waiting.remove(waiter)
        self.pool.forget(waiter)

    def opened(self) -> None:
        self.dials -= 1
        connection = f"c{next(self.made)}"
        self._placed(connection, self.pool.opened(connection))

    def not_opened(self) -> None:
        self.dials -= 1
        waiter = self.pool.not_opened()
        if waiter is not None:
            assert waiter == self.waiting.pop(0), "who waits longest is told first"
        self.dials += self.pool.may_open()

    def closed_before_it_was_opened(self) -> None:
        """The end of a connection is told before its beginning."""
        self.dials += self.pool.lost(f"c{next(self.made)}")
        self.not_opened()

    def freed(self, connection: str) -> None:
        self.busy.remove(connection)
        self._placed(connection, self.pool.give_back(connection))

    def lost(self, connection: str) -> None:
        self.busy.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        self.dials += self.pool.lost(connection)

    def _placed(self, connection: str, waiter: int | None) -> None:
        if waiter is None:
            assert not self.waiting, "somebody waits, and nobody was given the connection"
            self.idle.append(connection)
        else:
            assert waiter == self.waiting.pop(0), "who waits longest comes first"
            self.busy.add(connection)


class AnyHistory(RuleBasedStateMachine):
    """Rules are what requests, networks and servers may do."""

    keeper: Imagined

    @initialize(cap=st.integers(1, 4))
    def begin(self, cap: int) -> None:
        self.keeper = Imagined(Pool(cap))

    @rule()
    def somebody_wants_one(self) -> None:
        self.keeper.wants()

    @precondition(lambda self: self.keeper.waiting)
    @rule(data=st.data())
    def a_waiter_gives_up(self, data: st.DataObject) -> None:
        self.keeper.gives_up(data.draw(st.sampled_from(self.keeper.waiting)))

    @rule(who=st.integers(-9, -1))
    def somebody_unknown_gives_up(self, who: int) -> None:
        self.keeper.pool.forget(who)

    @precondition(lambda self: self.keeper.dials)
    @rule()
    def one_opens(self) -> None:
        self.keeper.opened()

    @precondition(lambda self: self.keeper.dials)
    @rule()
    def one_cannot_be_opened(self) -> None:
        self.keeper.not_opened()

    @precondition(lambda self: self.keeper.dials)
    @rule()
    def one_closes_before_it_was_opened(self) -> None:
        self.keeper.closed_before_it_was_opened()

    @precondition(lambda self: self.keeper.busy)
    @rule(data=st.data(), survives=st.booleans())
    def a_request_ends(self, data: st.DataObject, survives: bool) -> None:
        connection = data.draw(st.sampled_from(sorted(self.keeper.busy)))
        (self.keeper.freed if survives else self.keeper.lost)(connection)

    @precondition(lambda self: self.keeper.idle)
    @rule(data=st.data())
    def an_idle_one_closes(self, data: st.DataObject) -> None:
        self.keeper.lost(data.draw(st.sampled_from(self.keeper.idle)))

    @invariant()
    def the_book_holds_what_there_is(self) -> None:
        keeper, pool = self.keeper, self.keeper.pool
        assert pool.opening == keeper.dials
        assert pool.busy == keeper.busy
        assert list(pool.idle) == keeper.idle
        assert list(pool.waiting) == keeper.waiting

    @invariant()
    def never_more_than_the_cap(self) -> None:
        assert self.keeper.pool.size <= self.keeper.pool.cap

    @invariant()
    def nobody_waits_while_one_is_idle(self) -> None:
        assert not (self.keeper.waiting and self.keeper.idle)

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        """Each has one on its way, or as many as may be are in use."""
        keeper = self.keeper
        assert keeper.dials >= len(keeper.waiting) or keeper.pool.size == keeper.pool.cap

    def teardown(self) -> None:
        """Even if nothing opens any more and all breaks, whoever waits is told."""
        if not hasattr(self, "keeper"):
            return
        keeper = self.keeper
        for _ in range(len(keeper.waiting) + keeper.dials + len(keeper.busy)):
            if keeper.dials:
                keeper.not_opened()
            elif keeper.busy:
                keeper.lost(min(keeper.busy))
        assert not keeper.waiting


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = hypothesis_settings(max_examples=40, deadline=None)


def test_those_who_wait_beyond_the_cap_get_a_try_of_their_own() -> None:
    """One opening fails, one waiter is told, the next opening is for the next waiter."""
    pool: Pool[str, str] = Pool(1)
    assert pool.wait("a")
    assert not pool.wait("b")
    assert pool.not_opened() == "a"
    assert pool.may_open()
    assert pool.not_opened() == "b"
    assert not pool.may_open()


def test_a_failed_opening_is_told_to_nobody_while_enough_are_on_their_way() -> None:
    """Whoever it was opened for has been served by another one, or has gone."""
    pool: Pool[str, str] = Pool(2)
    assert pool.wait("a")
    assert pool.wait("b")
    pool.forget("a")
    assert pool.not_opened() is None
    assert pool.opened("c") == "b"


def test_an_idle_connection_is_handed_out_youngest_first() -> None:
    """So that the surplus of a burst grows old, and is closed."""
    pool: Pool[str, str] = Pool(3)
    for name in ("a", "b", "c"):
        pool.wait(name)
    for name in ("1", "2", "3"):
        pool.opened(name)
    for name in ("2", "1", "3"):
        assert pool.give_back(name) is None
    assert [pool.take() for _ in range(4)] == ["3", "1", "2", None]


def test_few_are_opened_at_one_time() -> None:
    """With a pace others wait for those, and one more is opened when one is there."""
    pool: Pool[str, str] = Pool(10, pace=2)
    assert [pool.wait(waiter) for waiter in "abc"] == [True, True, False]
    assert pool.opened("1") == "a"
    assert [pool.may_open(), pool.may_open()] == [True, False]
    assert pool.opening == 2


def test_filling_up_to_the_least() -> None:
    """It counts what there is in whatever state, and never goes beyond the cap."""
    pool: Pool[str, str] = Pool(2)
    assert [pool.may_fill(3) for _ in range(3)] == [True, True, False]
    pool.opened("1")
    assert list(pool.idle) == ["1"]
    assert not pool.may_fill(2)
