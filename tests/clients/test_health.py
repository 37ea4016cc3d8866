"""Ejection and return of one member."""

from __future__ import annotations

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from skitaid.workers.clients.health import FAILURES, FIRST, LONGEST, SPREAD, Health

MIDDLE = 0.5  # dice: no spread
dice = st.floats(0, 1)


def fail(health: Health, now: float, times: int = FAILURES) -> None:
    """Requests that fail one after the other."""
    for _ in range(times):
        health.failed(health.asked(now), now, MIDDLE)


def test_two_failures_in_a_row_do_no_harm() -> None:
    """The third one ejects."""
    health = Health()
    fail(health, 100.0, 2)
    assert health.may_ask(100.0)
    fail(health, 100.0, 1)
    assert not health.may_ask(100.0)


def test_an_answer_in_between_starts_the_count_again() -> None:
    """In a row means in a row."""
    health = Health()
    for _ in range(10):
        fail(health, 100.0, 2)
        health.answered()
    assert health.may_ask(100.0)


def test_one_probe_is_let_through_when_the_time_is_over() -> None:
    """Not before, and no second one while it is out."""
    health = Health()
    fail(health, 100.0)
    assert not health.may_ask(100.0 + FIRST - 0.01)
    assert health.may_ask(100.0 + FIRST)
    assert health.asked(100.0 + FIRST)
    assert not health.may_ask(100.0 + FIRST + 1000)


def test_a_probe_that_answers_brings_the_member_back() -> None:
    """With a clean record: it takes three failures again, and the first pause."""
    health = Health()
    fail(health, 100.0)
    health.asked(200.0)
    health.answered()
    fail(health, 200.0, 2)
    assert health.may_ask(200.0)
    fail(health, 200.0, 1)
    assert health.ejected_until == 200.0 + FIRST


def test_a_probe_that_was_given_up_tells_nothing() -> None:
    """The next request is the probe."""
    health = Health()
    fail(health, 100.0)
    probe = health.asked(200.0)
    health.released(probe)
    assert health.may_ask(200.0)
    assert health.asked(200.0)


def test_pauses_double_up_to_the_longest() -> None:
    """However long a member is dead: a week of failing probes is no overflow."""
    health = Health()
    now, pauses = 0.0, []
    fail(health, now)
    for _ in range(10_000):
        pauses.append(health.ejected_until - now)
        now = health.ejected_until
        fail(health, now, 1)
    assert pauses[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert max(pauses) == LONGEST


def test_failures_of_requests_that_were_out_already_are_no_news() -> None:
    """A hundred in flight when the member dies are one outage, not thirty-three."""
    health = Health()
    probes = [health.asked(100.0) for _ in range(100)]
    for probe in probes:
        health.failed(probe, 100.0, MIDDLE)
    assert health.ejected_until == 100.0 + FIRST
    assert health.may_ask(100.0 + FIRST)


def test_an_old_request_does_not_end_the_probe() -> None:
    """Neither by failing nor by being given up."""
    health = Health()
    old = health.asked(100.0)
    fail(health, 100.0)
    assert health.asked(200.0)
    health.failed(old, 200.0, MIDDLE)
    health.released(old)
    assert not health.may_ask(200.0)


@given(dice=dice)
def test_the_spread_is_a_quarter_up_or_down(dice: float) -> None:
    """So that several workers do not come back in step."""
    health = Health()
    for _ in range(FAILURES):
        health.failed(health.asked(100.0), 100.0, dice)
    pause = health.ejected_until - 100.0
    assert FIRST * (1 - SPREAD) - 1e-9 <= pause <= FIRST * (1 + SPREAD) + 1e-9


class AnyHistory(RuleBasedStateMachine):
    """Requests to one member, some of them although it is ejected, since others are too."""

    def __init__(self) -> None:
        super().__init__()
        self.health = Health()
        self.now = 0.0
        self.out: list[bool] = []  # requests: whether each is the probe
        self.in_a_row = 0

    def pick(self, data: st.DataObject) -> bool:
        return self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))

    @precondition(lambda self: self.health.may_ask(self.now))
    @rule()
    def is_chosen(self) -> None:
        self.out.append(self.health.asked(self.now))

    @precondition(lambda self: not self.health.may_ask(self.now))
    @rule()
    def is_asked_since_all_look_dead(self) -> None:
        assert not self.health.asked(self.now), "that is no probe"
        self.out.append(False)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def answers(self, data: st.DataObject) -> None:
        self.pick(data)
        self.health.answered()
        self.in_a_row = 0
        # Where somebody else's answer brought the member back, the probe is a request as others.
        self.out = [False] * len(self.out)
        assert self.health.may_ask(self.now)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), dice=dice)
    def fails(self, data: st.DataObject, dice: float) -> None:
        was_probe, was_ejected = self.pick(data), self.health.ejections > 0
        before = self.health.ejected_until
        self.health.failed(was_probe, self.now, dice)
        self.in_a_row += 1
        if was_ejected and not was_probe:
            assert self.health.ejected_until == before
        elif was_probe or self.in_a_row >= FAILURES:
            pause = self.health.ejected_until - self.now
            assert 0 < pause <= LONGEST * (1 + SPREAD) + 1e-6
            assert not self.health.may_ask(self.now)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def is_given_up(self, data: st.DataObject) -> None:
        self.health.released(self.pick(data))

    @rule(seconds=st.floats(0, 100))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def one_probe_at_the_most(self) -> None:
        assert sum(self.out) <= 1
        assert self.health.is_probing == any(self.out)

    @invariant()
    def is_never_lost_for_ever(self) -> None:
        """When its time is over it may be asked, or its probe is out."""
        later = max(self.now, self.health.ejected_until)
        assert self.health.may_ask(later) or any(self.out)


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = hypothesis_settings(max_examples=40, deadline=None)
