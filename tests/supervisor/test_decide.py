"""What the master does about what happens, told without a process."""

from __future__ import annotations

import pytest
from imagined import ImaginedMaster

from skitaid.supervisor import events as ev
from skitaid.supervisor.actions import Announce, ReopenLog
from skitaid.supervisor.backoff import LONGEST, STEADY
from skitaid.supervisor.book import QUICK_DEATHS, Stage
from skitaid.supervisor.child import Child, State
from skitaid.supervisor.control_records import Done, Rotate, Start, Status, Stop
from skitaid.supervisor.stopping import DRAIN_MARGIN, STOP_TIME
from skitaid.workers import control


def test_a_boot_failure_at_the_first_start_ends_the_server() -> None:
    """Nothing is served half: the reason is logged, the others stop, the exit code is 1."""
    master = ImaginedMaster()
    broken, sound = master.start()
    master.tell(ev.WorkerReady(sound))
    master.tell(ev.WorkerBootFailed(broken, "Traceback…\nImportError: no webapp\n"))
    assert "ImportError: no webapp" in master.logged()
    assert master.told() == {sound: control.Stop()}
    master.die(broken, exit_code=1)
    assert master.exit_code is None
    master.die(sound, exit_code=0)
    assert master.exit_code == 1


def test_dying_without_a_word_at_the_first_start_ends_the_server_too() -> None:
    """A segmentation fault on import has no traceback; the signal is named."""
    master = ImaginedMaster()
    first, second = master.start()
    master.die(first, exit_code=-11)
    assert "was killed by SIGSEGV before it was ready" in master.logged()
    assert master.told() == {second: control.Stop()}
    master.die(second, exit_code=0)
    assert master.exit_code == 1


def test_one_reason_is_told_when_all_workers_fail_for_it() -> None:
    """Eight workers do not log one traceback eight times."""
    master = ImaginedMaster()
    first, second = master.start()
    master.tell(ev.WorkerBootFailed(first, "no webapp"))
    master.tell(ev.WorkerBootFailed(second, "no webapp"))
    assert master.logged() == ""


def test_no_memory_for_the_first_fork_ends_the_server() -> None:
    """The kernel's reason is logged."""
    master = ImaginedMaster(processes=1)
    master.forks_fail = True
    master.start()
    assert "could not be forked: Cannot allocate memory" in master.logged()
    assert master.exit_code == 1


def test_a_later_boot_failure_backs_off_and_is_kept_for_status() -> None:
    """The others serve on; the reason can be asked for."""
    master = ImaginedMaster()
    lost, kept = master.serve()
    master.die(lost)
    (replacement,) = master.forked()
    master.tell(ev.WorkerBootFailed(replacement, "SyntaxError: broken since"))
    master.die(replacement, exit_code=1)
    assert master.forked() == []
    assert master.book.stage is Stage.SERVING
    assert "SyntaxError: broken since" in master.ask(Status()).last_error
    master.wait(1.0)
    assert len(master.forked()) == 1
    assert kept in master.alive


def test_workers_that_never_boot_are_tried_once_a_minute_in_the_end() -> None:
    """Not once a second, and not never."""
    master = ImaginedMaster(processes=1)
    (first,) = master.serve()
    master.die(first)
    tries = []
    while master.now < 4600:
        for serial in list(master.alive):
            tries.append(master.now)
            master.die(serial, exit_code=5)
        master.wait(1.0)
    assert tries[-1] - tries[-2] == LONGEST
    assert len(tries) < 3600 / LONGEST + 10


def test_a_worker_that_dies_while_serving_is_replaced_at_once() -> None:
    """The very decision that notes its death forks the next one, under its ordinal."""
    master = ImaginedMaster()
    lost, _ = master.serve()
    ordinal = master.alive[lost]
    master.die(lost)
    (replacement,) = master.forked()
    assert master.alive[replacement] == ordinal
    assert "was killed by SIGKILL; another takes its place now" in master.logged()


def test_all_workers_killed_at_once_are_all_replaced_at_once() -> None:
    """One bad moment of the machine is not a crash loop."""
    master = ImaginedMaster(processes=8)
    for serial in master.serve():
        master.die(serial)
        assert len(master.forked()) == 1


def test_a_worker_that_dies_over_and_over_is_replaced_with_pauses() -> None:
    """The pauses grow, so a crash loop does not burn the machine."""
    master = ImaginedMaster(processes=1)
    (serial,) = master.serve()
    for _ in range(1 + QUICK_DEATHS):
        master.die(serial)
        (serial,) = master.forked()
        master.tell(ev.WorkerReady(serial))
    master.die(serial)
    assert master.forked() == []
    assert master.deadline() == master.now + 1.0
    assert "takes its place in 1.0 s" in master.logged()


def test_a_crash_after_a_steady_time_is_replaced_at_once_again() -> None:
    """What happened an hour ago is forgotten."""
    master = ImaginedMaster(processes=1)
    (serial,) = master.serve()
    for _ in range(20):
        master.wait(STEADY + 1)
        master.die(serial)
        (serial,) = master.forked()
        master.tell(ev.WorkerReady(serial))


def test_a_worker_that_hangs_up_but_lives_on_is_killed() -> None:
    """Nothing can be told to it any more, so it must not stay."""
    master = ImaginedMaster()
    deaf, _ = master.serve()
    master.tell(ev.WorkerHungUp(deaf))
    assert master.killed() == []
    master.now += STOP_TIME
    master.tell(ev.TimePassed())
    assert master.killed() == [deaf]


def test_a_worker_that_does_not_hear_stop_is_killed_once() -> None:
    """After its time, not before, and then its death is waited for."""
    master = ImaginedMaster(processes=1)
    (deaf,) = master.serve()
    master.stop()
    assert master.deadline() == master.now + STOP_TIME
    master.now += STOP_TIME
    master.tell(ev.TimePassed())
    assert master.killed() == [deaf]
    assert master.deadline() is None
    master.die(deaf)
    assert master.exit_code == 0


def test_a_worker_that_does_not_finish_draining_is_killed() -> None:
    """A little after its own deadline: until then it may end by itself."""
    master = ImaginedMaster(processes=1)
    (slow,) = master.serve()
    master.stop(graceful=True)
    assert master.told() == {slow: control.Retire()}
    master.now += master.book.settings.drain_timeout + DRAIN_MARGIN
    master.tell(ev.TimePassed())
    assert master.killed() == [slow]


def test_a_second_signal_makes_a_graceful_stop_fast() -> None:
    """An operator who loses patience is obeyed."""
    master = ImaginedMaster()
    first, second = master.serve()
    master.stop(graceful=True)
    master.die(first, exit_code=0)
    master.stop()
    assert master.told() == {second: control.Stop()}
    assert master.deadline() == master.now + STOP_TIME


def test_a_fast_stop_is_not_slowed_down_by_a_graceful_one() -> None:
    """Nor repeated by another fast one."""
    master = ImaginedMaster()
    master.serve()
    master.stop()
    master.stop(graceful=True)
    assert master.told() == {}
    master.stop()
    assert (master.told(), master.logged()) == ({}, "")


def test_nobody_is_replaced_while_stopping() -> None:
    """Not even who is killed by somebody else."""
    master = ImaginedMaster()
    first, second = master.serve()
    master.stop(graceful=True)
    master.die(first)
    assert master.forked() == []
    master.die(second, exit_code=0)
    assert master.exit_code == 0


def test_a_graceful_stop_does_not_wait_for_workers_that_still_boot() -> None:
    """They have nothing to finish, unless they are ready by now and have not been heard."""
    master = ImaginedMaster()
    ready, booting = master.start()
    master.tell(ev.WorkerReady(ready))
    master.stop(graceful=True)
    assert master.told() == {ready: control.Retire(), booting: control.Retire()}
    master.wait(STOP_TIME)
    assert master.killed() == [booting]


def test_a_ready_that_crosses_a_stop_changes_nothing() -> None:
    """The worker was told to leave and will."""
    master = ImaginedMaster(processes=1)
    (serial,) = master.start()
    master.stop()
    master.tell(ev.WorkerReady(serial))
    assert master.book.children[serial].state is State.STOPPING
    assert master.did(Announce) == []


def test_the_server_is_announced_when_all_are_ready_and_only_once() -> None:
    """A replacement's readiness is no second start."""
    master = ImaginedMaster()
    first, second = master.start()
    master.tell(ev.WorkerReady(first))
    assert master.did(Announce) == []
    master.tell(ev.WorkerReady(second))
    assert master.did(Announce) == [Announce("http://127.0.0.1:5000")]
    master.die(first)
    master.tell(ev.WorkerReady(master.forked()[0]))
    assert master.did(Announce) == []


def test_a_quiet_server_has_no_deadline() -> None:
    """It sleeps until something happens: no tick."""
    master = ImaginedMaster()
    master.serve()
    assert master.deadline() is None


def test_status_shows_the_book() -> None:
    """Who lives, in which state, since when."""
    master = ImaginedMaster()
    first, _ = master.start()
    master.tell(ev.WorkerReady(first))
    master.now += 5
    status = master.ask(Status())
    assert (status.name, status.pid, status.address) == ("web", 1, "http://127.0.0.1:5000")
    assert (status.state, status.started) == ("starting", 1_700_000_000.0)
    assert [(w.ordinal, w.state, w.age) for w in status.workers] == [
        (0, "ready", 5.0),
        (1, "booting", 5.0),
    ]


def test_the_control_socket_can_stop_the_server() -> None:
    """It is answered at once and then done."""
    master = ImaginedMaster(processes=1)
    (serial,) = master.serve()
    assert master.ask(Stop(graceful=True)) == Done()
    assert master.told() == {serial: control.Retire()}


def test_the_control_socket_can_end_a_back_off() -> None:
    """An operator has mended what failed, and does not want to wait."""
    master = ImaginedMaster(processes=1)
    (serial,) = master.serve()
    master.die(serial)
    while master.forked():
        master.die(master.forked()[0])
    assert (master.alive, master.deadline()) != ({}, None)
    assert master.ask(Start()) == Done()
    (again,) = master.forked()
    master.ready(again)
    assert master.ask(Status()).crashes == 0


def test_the_control_socket_can_reopen_the_logs() -> None:
    """Those of the master and of its workers, before it is answered."""
    master = ImaginedMaster(processes=1)
    (serial,) = master.serve()
    assert master.ask(Rotate()) == Done()
    assert master.told() == {serial: control.ReopenLogs()}
    assert master.did(ReopenLog) == [ReopenLog()]


def test_no_child_goes_back_to_an_earlier_state() -> None:
    """The table of legal moves is the law."""
    child = Child(serial=1, ordinal=0, generation=1, forked_at=0.0, state=State.RETIRING)
    with pytest.raises(ValueError, match="is retiring and cannot become ready"):
        child.move(State.READY)
