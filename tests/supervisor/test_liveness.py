"""Workers that hang, grow or get old, told without a process."""

from __future__ import annotations

from imagined import ImaginedMaster, settings

from skitaid.supervisor import events as ev
from skitaid.supervisor.actions import Dump, Look
from skitaid.supervisor.child import State
from skitaid.supervisor.control_records import Refused, Status
from skitaid.supervisor.liveness import DUMP_TIME, FIGURES_EVERY
from skitaid.supervisor.stopping import DRAIN_MARGIN
from skitaid.workers import control

MIB = 1024 * 1024


def test_a_worker_without_heartbeat_is_dumped_then_killed_and_replaced() -> None:
    """The replacement is forked at once; the reason is kept for status."""
    master = ImaginedMaster(worker_timeout=30.0)
    hung, well = master.serve()
    master.beats[hung] = master.now
    master.wait(30.0)
    assert master.did(Dump) == []
    master.wait(15.0)
    assert master.did(Dump) == [Dump(hung)]
    assert "gave no sign of life for 45 s, 3 requests in hand" in master.logged()
    assert len(master.forked()) == 1
    master.wait(DUMP_TIME)
    assert master.killed() == [hung]
    assert "gave no sign of life" in master.ask(Status()).last_error
    assert well in master.alive


def test_a_master_looks_twice_per_timeout_and_not_more_often() -> None:
    """It sleeps in between."""
    master = ImaginedMaster(worker_timeout=30.0)
    master.serve()
    assert master.deadline() == master.now + 15.0
    master.wait(15.0)
    assert len(master.did(Look)) == 1
    assert master.deadline() == master.now + 15.0


def test_a_master_that_stops_looks_no_more() -> None:
    """It sleeps until somebody leaves or has had his time."""
    master = ImaginedMaster(worker_timeout=30.0)
    master.serve()
    master.stop(graceful=True)
    assert master.deadline() == master.now + 30.0 + DRAIN_MARGIN


def test_a_worker_that_never_beat_is_left_alone() -> None:
    """One that was adopted may be of a version that does not."""
    master = ImaginedMaster(worker_timeout=30.0)
    for serial in master.serve():
        master.beats[serial] = None
    master.wait(300.0)
    assert master.did(Dump) == []


def test_a_machine_that_was_asleep_kills_nobody() -> None:
    """The heartbeats are as old as the master's own last look; they get time to beat again."""
    master = ImaginedMaster(worker_timeout=30.0)
    first, second = master.serve()
    master.beats = {first: master.now, second: master.now}
    master.now += 3600.0
    master.tell(ev.TimePassed())
    assert master.did(Dump) == []
    master.beats = {}
    master.wait(60.0)
    assert master.did(Dump) == []


def test_a_shorter_timeout_is_for_those_who_know_of_it() -> None:
    """Workers of the conf before beat as seldom as that said."""
    master = ImaginedMaster(worker_timeout=30.0)
    first, second = master.serve()
    master.beats = {first: master.now, second: master.now}
    master.conf = settings(worker_timeout=2.0)
    master.reload()
    (third,) = master.forked()
    master.beats[third] = master.now
    master.ready(third)
    master.wait(15.0)
    assert master.book.children[second].state is State.READY
    assert third not in {child.serial for child in master.book.ready()}


def test_a_look_does_not_meet_who_could_not_be_forked() -> None:
    """Both may be due in the same moment."""
    master = ImaginedMaster(processes=1, worker_timeout=30.0)
    (serial,) = master.serve()
    master.forks_fail = True
    master.die(serial)
    master.now += 60.0
    master.tell(ev.TimePassed())
    assert len(master.forked()) == len(master.did(Look)) == 1
    assert master.book.children == {}


def test_a_worker_that_does_not_get_ready_is_dumped_and_killed() -> None:
    """It counts as a boot failure: at the first start it ends the server."""
    master = ImaginedMaster(processes=1, boot_timeout=60.0)
    (slow,) = master.start()
    master.wait(60.0)
    assert master.did(Dump) == [Dump(slow)]
    assert "was not ready 60 s after its fork" in master.logged()
    master.wait(DUMP_TIME)
    assert master.killed() == [slow]
    master.bury()
    assert master.exit_code == 1


def test_a_new_generation_that_does_not_get_ready_is_abandoned() -> None:
    """Importing for ever is not booting."""
    master = ImaginedMaster(boot_timeout=60.0)
    master.serve()
    master.reload()
    (slow,) = master.forked()
    master.wait(60.0)
    reply = master.replies[7]
    assert isinstance(reply, Refused)
    assert "was not ready 60 s after its fork" in reply.reason
    master.wait(DUMP_TIME)
    assert master.killed() == [slow]
    assert master.told() == {}


def test_a_worker_that_has_grown_too_big_is_replaced() -> None:
    """Its successor is ready first."""
    master = ImaginedMaster(max_rss=100 * MIB)
    big, _ = master.serve()
    master.rss[big] = 101 * MIB
    master.wait(FIGURES_EVERY)
    (successor,) = master.forked()
    master.ready(successor)
    assert master.told() == {big: control.Retire()}


def test_workers_that_get_old_together_are_replaced_one_by_one() -> None:
    """Each time there is one more than the conf wants, and never less."""
    master = ImaginedMaster(processes=3, max_age=3600.0)
    old = master.serve()
    master.wait(3600.0)
    for serial in old:
        (successor,) = master.forked()
        master.ready(successor)
        assert master.told() == {serial: control.Retire()}
        assert len(master.book.ready()) == 3
        master.die(serial, exit_code=0)
    assert master.forked() == []
    assert master.deadline() == master.now + 3600.0
