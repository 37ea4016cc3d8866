"""Replacing workers that serve, told without a process."""

from __future__ import annotations

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from imagined import ImaginedMaster, settings

from skitaid.supervisor import events as ev
from skitaid.supervisor.actions import Forget
from skitaid.supervisor.child import State
from skitaid.supervisor.control_records import Done, Refused, Status
from skitaid.supervisor.stopping import DRAIN_MARGIN, STOP_TIME
from skitaid.workers import control


def refusal(master: ImaginedMaster, ticket: int = 7) -> str:
    """Why the request with this ticket was refused."""
    reply = master.replies[ticket]
    assert isinstance(reply, Refused), reply
    return reply.reason


def test_a_conf_with_a_mistake_changes_nothing() -> None:
    """It is told to who asked, and kept for status; nobody is forked or retired."""
    master = ImaginedMaster()
    master.serve()
    master.conf = "web.conf:3: threadss: unknown key"
    master.reload()
    assert (master.forked(), master.told()) == ([], {})
    assert "web.conf:3" in refusal(master)
    assert "web.conf:3" in master.ask(Status()).last_error
    assert master.ask(Status()).generation == 1


def test_an_app_that_does_not_boot_is_abandoned() -> None:
    """One worker has tried it; the old ones never noticed; who asked gets the traceback."""
    master = ImaginedMaster()
    master.serve()
    master.reload()
    (trial,) = master.forked()
    master.tell(ev.WorkerBootFailed(trial, "Traceback…\nSyntaxError: broken"))
    assert "SyntaxError: broken" in refusal(master)
    assert master.told() == {}
    master.die(trial, exit_code=1)
    assert master.forked() == []
    assert master.deadline() is None
    status = master.ask(Status())
    assert [w.state for w in status.workers] == ["ready", "ready"]
    assert (status.generation, "SyntaxError" in status.last_error) == (1, True)


def test_a_new_worker_that_dies_before_it_is_ready_is_abandoned_too() -> None:
    """A segmentation fault on import, or no memory for the fork."""
    master = ImaginedMaster()
    master.serve()
    master.reload()
    master.die(master.forked()[0], exit_code=-11)
    assert "was killed by SIGSEGV before it was ready" in refusal(master)
    master.forks_fail = True
    master.reload(ticket=8)
    assert "could not be forked" in refusal(master, 8)
    assert len(master.book.ready()) == 2


def test_a_reload_replaces_one_worker_after_the_other() -> None:
    """Each new one is ready before an old one is told; the answer waits for the last to leave."""
    master = ImaginedMaster()
    first, second = master.serve()
    master.reload()
    (third,) = master.forked()
    assert master.told() == {}
    master.ready(third)
    assert master.told() == {first: control.Retire()}
    (fourth,) = master.forked()
    master.ready(fourth)
    assert master.told() == {second: control.Retire()}
    assert master.forked() == []
    assert master.did(Forget) == [Forget(1)]
    master.die(first, exit_code=0)
    assert 7 not in master.replies
    master.die(second, exit_code=0)
    assert master.replies[7] == Done()
    assert {w.generation for w in master.ask(Status()).workers} == {2}
    assert master.deadline() is None


def test_who_waits_is_told_how_far_it_is() -> None:
    """A line for each step, none twice."""
    master = ImaginedMaster()
    first, second = master.serve()
    master.reload()
    for _ in range(2):
        master.ready(master.forked()[0])
    master.tell(ev.WorkerDraining(first, 1))
    master.tell(ev.WorkerDraining(second, 2))
    master.die(first, exit_code=0)
    assert master.progress == [
        "web: the first new worker is booting",
        "draining web: 1 of 2 workers retired, 0 requests left",
        "draining web: 2 of 2 workers retired, 0 requests left",
        "draining web: 2 of 2 workers retired, 1 requests left",
        "draining web: 2 of 2 workers retired, 3 requests left",
        "draining web: 2 of 2 workers retired, 2 requests left",
    ]


def test_a_boot_failure_in_the_middle_is_rolled_back() -> None:
    """The workers of the abandoned generation are replaced as any others, ready first."""
    master = ImaginedMaster()
    first, second = master.serve()
    master.reload()
    (new,) = master.forked()
    master.ready(new)
    (newer,) = master.forked()
    master.tell(ev.WorkerBootFailed(newer, "no memory"))
    assert "no memory" in refusal(master)
    (old,) = master.forked()
    assert master.book.children[old].generation == 1
    assert master.told() == {}
    master.ready(old)
    assert master.told() == {new: control.Retire()}
    for serial in (first, newer, new):
        master.die(serial, exit_code=0)
    assert sorted(master.alive) == [second, old]


def test_a_crash_before_the_new_code_has_booted_is_mended_with_the_old() -> None:
    """Nobody knows yet whether the new one will."""
    master = ImaginedMaster()
    lost, _ = master.serve()
    master.reload()
    (trial,) = master.forked()
    master.die(lost)
    (replacement,) = master.forked()
    assert master.book.children[replacement].generation == 1
    master.ready(replacement)
    master.ready(trial)
    assert len(master.book.ready()) == 2


def test_a_crash_after_the_new_code_has_booted_is_mended_with_the_new() -> None:
    """Whoever it was that crashed; and the change comes to its end."""
    master = ImaginedMaster()
    _, second = master.serve()
    master.reload()
    (third,) = master.forked()
    master.ready(third)
    (fourth,) = master.forked()
    master.die(third)
    assert master.forked() == []  # the fourth is under way already
    master.ready(fourth)
    (fifth,) = master.forked()
    assert master.book.children[fifth].generation == 2
    master.ready(fifth)
    assert master.told() == {second: control.Retire()}


def test_the_newest_reload_wins() -> None:
    """Who boots for the one before is dismissed; all who asked get the outcome of the last."""
    master = ImaginedMaster()
    first, second = master.serve()
    master.reload(ticket=7)
    (overtaken,) = master.forked()
    master.reload(ticket=8)
    assert master.told() == {overtaken: control.Retire()}
    (third,) = master.forked()
    master.ready(overtaken)  # its word crossed ours
    assert master.book.children[overtaken].state is State.RETIRING
    master.ready(third)
    master.ready(master.forked()[0])
    for serial in (overtaken, first, second):
        master.die(serial, exit_code=0)
    assert (master.replies[7], master.replies[8]) == (Done(), Done())
    assert {w.generation for w in master.ask(Status()).workers} == {3}


def test_who_is_dismissed_while_its_word_is_on_the_way_finishes_what_it_has() -> None:
    """It may have clients since before it is told; who is not ready by then is killed soon."""
    master = ImaginedMaster()
    master.serve()
    master.reload()
    (served,) = master.forked()
    master.reload()
    (boots,) = master.forked()
    master.reload()
    master.ready(served)
    master.wait(STOP_TIME)
    assert master.killed() == [boots]
    master.wait(30 + DRAIN_MARGIN - STOP_TIME)
    assert master.killed() == [served]


def test_who_still_boots_for_the_old_code_is_not_waited_for() -> None:
    """When the new one has booted; nobody else is forked and retired until it gets ready."""
    master = ImaginedMaster()
    lost, second = master.serve()
    master.die(lost)
    (slow,) = master.forked()
    master.reload()
    (new,) = master.forked()
    assert master.told() == {}
    master.ready(new)
    assert master.told() == {slow: control.Retire()}
    for serial in master.forked():
        master.ready(serial)
    settle(master)
    assert master.replies[7] == Done()
    assert len(master.alive) == 2
    assert {slow, second}.isdisjoint(master.alive)


def test_a_reload_takes_the_token_from_a_replacement() -> None:
    """Its worn worker is one of those that the new ones replace."""
    master = ImaginedMaster()
    worn, _ = master.serve()
    master.tell(ev.WorkerWantsRestart(worn, "max_requests"))
    (replacement,) = master.forked()
    master.reload()
    assert master.told() == {replacement: control.Retire()}
    assert len(master.book.serving()) == 3
    master.ready(master.forked()[0])
    assert master.told() == {worn: control.Retire()}


def test_a_reload_that_overtakes_a_good_one_and_fails_goes_back_to_that() -> None:
    """The newest that has booted is what is gone back to."""
    master = ImaginedMaster()
    master.serve()
    master.reload(ticket=7)
    (third,) = master.forked()
    master.ready(third)
    master.reload(ticket=8)
    (broken,) = master.forked()
    master.tell(ev.WorkerBootFailed(broken, "SyntaxError"))
    assert master.book.wanted.number == 2
    assert "SyntaxError" in refusal(master, 8)
    (fourth,) = master.forked()
    assert master.book.children[fourth].generation == 2


def test_a_stop_ends_a_reload() -> None:
    """Whoever waits is told; the worker that boots is not waited for."""
    master = ImaginedMaster()
    first, second = master.serve()
    master.reload()
    (trial,) = master.forked()
    master.stop(graceful=True)
    assert "is being stopped" in refusal(master)
    assert master.told() == {
        first: control.Retire(),
        second: control.Retire(),
        trial: control.Retire(),
    }
    assert master.book.children[trial].kill_at == master.now + STOP_TIME
    master.reload(ticket=8)
    assert "is being stopped" in refusal(master, 8)
    for serial in (trial, first, second):
        master.die(serial, exit_code=0)
    assert master.exit_code == 0


def test_a_retired_worker_that_does_not_leave_is_killed() -> None:
    """After the drain timeout it was forked with; then the reload is complete."""
    master = ImaginedMaster(processes=1)
    (slow,) = master.serve()
    master.conf = settings(1, drain_timeout=1)
    master.reload()
    master.ready(master.forked()[0])
    master.wait(30 + DRAIN_MARGIN)
    assert master.killed() == [slow]
    master.bury()
    assert master.replies[7] == Done()


def test_the_number_of_workers_may_change() -> None:
    """More are forked, one at a time; less are retired at once."""
    master = ImaginedMaster(processes=2)
    master.serve()
    master.conf = settings(4)
    master.reload()
    settle(master)
    assert len(master.book.ready()) == 4
    master.conf = settings(1)
    master.reload()
    settle(master)
    assert len(master.book.ready()) == 1
    assert master.ask(Status()).processes == 1


def test_an_operator_may_want_more_or_less_workers() -> None:
    """Kept by a reload until the conf wants another number; one stays in any case."""
    master = ImaginedMaster(processes=2)
    master.serve()
    master.tell(ev.CountWanted(1, "SIGTTIN"))
    settle(master)
    assert len(master.book.ready()) == 3
    master.reload()
    settle(master)
    assert len(master.book.ready()) == 3
    for _ in range(9):
        master.tell(ev.CountWanted(-1, "SIGTTOU"))
    settle(master)
    assert len(master.book.ready()) == 1
    master.conf = settings(3)
    master.reload()
    settle(master)
    assert len(master.book.ready()) == 3


def test_an_operator_resets_the_pause_of_a_crash_loop() -> None:
    """By a reload too; the fork that was waiting happens now."""
    master = ImaginedMaster(processes=1)
    (serial,) = master.serve()
    master.die(serial)
    master.die(master.forked()[0], exit_code=5)
    status = master.ask(Status())
    assert (status.crashes, status.fork_from) == (1, master.book.unix(master.now + 1))
    assert master.forked() == []
    master.reload()
    assert len(master.forked()) == 2  # the one that is missing, and the first of the new


def test_workers_that_ask_together_are_replaced_one_by_one() -> None:
    """The next one's turn comes when the one before has left, not only retired."""
    master = ImaginedMaster()
    first, second = master.serve()
    master.tell(ev.WorkerWantsRestart(first, "max_requests"))
    (third,) = master.forked()
    master.tell(ev.WorkerWantsRestart(second, "max_requests"))
    assert master.forked() == []
    master.ready(third)
    assert master.told() == {first: control.Retire()}
    assert master.forked() == []
    master.die(first, exit_code=0)
    (fourth,) = master.forked()
    master.ready(fourth)
    assert master.told() == {second: control.Retire()}
    assert not master.book.wanted.number > 1


def test_asking_twice_is_asking_once() -> None:
    """A worker that keeps asking is logged once."""
    master = ImaginedMaster()
    first, _ = master.serve()
    master.tell(ev.WorkerWantsRestart(first, "was.restart()"))
    assert "asks for it: was.restart()" in master.logged()
    master.tell(ev.WorkerWantsRestart(first, "was.restart()"))
    assert master.logged() == ""


def test_a_replacement_that_does_not_boot_leaves_the_worn_one_in_place() -> None:
    """It is tried again with pauses."""
    master = ImaginedMaster(processes=1)
    (worn,) = master.serve()
    master.tell(ev.WorkerWantsRestart(worn, "max_rss"))
    master.die(master.forked()[0], exit_code=1)
    assert (master.forked(), master.told()) == ([], {})
    master.wait(1.0)
    master.ready(master.forked()[0])
    assert master.told() == {worn: control.Retire()}


def test_an_app_can_end_the_server() -> None:
    """What is in flight is answered first."""
    master = ImaginedMaster(processes=1)
    (serial,) = master.serve()
    master.tell(ev.WorkerWantsShutdown(serial))
    assert master.told() == {serial: control.Retire()}
    master.die(serial, exit_code=0)
    assert master.exit_code == 0


@given(before=st.integers(1, 5), after=st.integers(1, 5), data=st.data())
@hypothesis_settings(max_examples=40, deadline=None)
def test_a_reload_never_leaves_too_few_or_too_many(
    before: int, after: int, data: st.DataObject
) -> None:
    """Whatever the order in which workers get ready and leave, as long as nobody crashes."""
    master = ImaginedMaster(before)
    master.serve()
    master.conf = settings(after)
    master.reload()
    for _ in range(100):
        movable = [c.serial for c in master.book.children.values() if c.state is not State.READY]
        if not movable:
            break
        step(master, data.draw(st.sampled_from(movable)))
        assert len(master.book.ready()) >= min(before, after)
        assert len(master.book.serving()) <= max(before, after) + 1
    assert master.replies[7] == Done()
    assert len(master.book.ready()) == after


def settle(master: ImaginedMaster) -> None:
    """All boot and leave as they should, until nothing is to be done."""
    while movable := [c for c in master.book.children.values() if c.state is not State.READY]:
        step(master, movable[0].serial)


def step(master: ImaginedMaster, serial: int) -> None:
    if master.book.children[serial].state is State.BOOTING:
        master.ready(serial)
    else:
        master.die(serial, exit_code=0)
