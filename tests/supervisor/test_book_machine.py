"""Any history: whatever workers do and whoever stops the server, its promises hold."""

from __future__ import annotations

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from imagined import ImaginedMaster, settings

from skitaid.supervisor import events as ev
from skitaid.supervisor.settings import Settings

STEPS_MAX = 20  # deadlines; a stop has one per worker at most


class AnyHistory(RuleBasedStateMachine):
    """Rules are what workers, the kernel and operators may do."""

    def __init__(self) -> None:
        super().__init__()
        self.master = ImaginedMaster(processes=3, worker_timeout=30.0)
        self.most = 3
        self.master.start()

    def pick(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.master.alive)))

    @precondition(lambda self: self.master.alive)
    @rule(data=st.data())
    def becomes_ready(self, data: st.DataObject) -> None:
        self.master.tell(ev.WorkerReady(self.pick(data)))

    @precondition(lambda self: self.master.alive)
    @rule(data=st.data())
    def cannot_boot(self, data: st.DataObject) -> None:
        self.master.tell(ev.WorkerBootFailed(self.pick(data), "no webapp"))

    @precondition(lambda self: self.master.alive)
    @rule(data=st.data())
    def hangs_up(self, data: st.DataObject) -> None:
        self.master.tell(ev.WorkerHungUp(self.pick(data)))

    @precondition(lambda self: self.master.alive)
    @rule(data=st.data(), code=st.sampled_from([0, 1, 3, -9, -11]))
    def dies(self, data: st.DataObject, code: int) -> None:
        serial = self.pick(data)
        self.master.die(serial, code)
        assert serial not in self.master.book.children

    @rule(fail=st.booleans())
    def memory_is_short(self, fail: bool) -> None:
        self.master.forks_fail = fail

    @rule(graceful=st.booleans())
    def is_stopped(self, graceful: bool) -> None:
        self.master.stop(graceful=graceful)

    @rule(seconds=st.floats(0, 100))
    def time_passes(self, seconds: float) -> None:
        self.master.wait(seconds)
        self.master.bury()

    @rule(
        conf=st.one_of(
            st.builds(settings, st.integers(1, 5), worker_timeout=st.just(20.0)),
            st.just("a mistake"),
        )
    )
    def is_reloaded(self, conf: Settings | str) -> None:
        self.master.conf = conf
        self.master.reload()

    @rule()
    def is_restarted(self) -> None:
        self.master.tell(ev.RestartWanted("SIGUSR2"))

    @precondition(lambda self: self.master.trial_runs)
    @rule()
    def is_not_restarted_after_all(self) -> None:
        self.master.end_trial(1, "SyntaxError")

    @rule(by=st.sampled_from([-1, 1]))
    def is_resized(self, by: int) -> None:
        self.master.tell(ev.CountWanted(by, "SIGTTIN"))

    @precondition(lambda self: self.master.alive)
    @rule(data=st.data())
    def wants_a_successor(self, data: st.DataObject) -> None:
        self.master.tell(ev.WorkerWantsRestart(self.pick(data), "max_requests"))

    @invariant()
    def only_what_may_be_needed_is_kept(self) -> None:
        book = self.master.book
        kept = {g.number for g in (book.wanted, book.fallback) if g}
        assert self.master.generations == kept

    @invariant()
    def never_too_many(self) -> None:
        """One holds the token; those of a greater number may take their time to get ready."""
        self.most = max(self.most, self.master.book.count)
        assert len(self.master.book.serving()) <= self.most + 1

    @invariant()
    def the_book_holds_who_lives(self) -> None:
        assert set(self.master.book.children) == set(self.master.alive)

    @invariant()
    def ordinals_are_unique(self) -> None:
        ordinals = [child.ordinal for child in self.master.book.children.values()]
        assert len(ordinals) == len(set(ordinals))

    @invariant()
    def no_deadline_is_in_the_past(self) -> None:
        deadline = self.master.deadline()
        assert deadline is None or deadline >= self.master.now

    def teardown(self) -> None:
        """Even if no worker obeys, a stop comes to its end."""
        self.master.stop()
        for _ in range(STEPS_MAX):
            if self.master.exit_code is not None:
                return
            self.let_the_killed_die()
        raise AssertionError(f"the stop does not end: {self.master.book.children}")

    def let_the_killed_die(self) -> None:
        due = self.master.deadline()
        if due is not None:
            self.master.now = max(due, self.master.now)
            self.master.tell(ev.TimePassed())
        self.master.bury()


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = hypothesis_settings(max_examples=60, deadline=None)
