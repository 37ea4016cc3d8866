"""Another program in the place of this one, told without a process."""

from __future__ import annotations

import msgspec
import pytest
from imagined import ImaginedMaster, settings

from skitaid.supervisor import events as ev
from skitaid.supervisor.actions import Become, KillTrial, Try
from skitaid.supervisor.book import Stage
from skitaid.supervisor.control_records import Refused, Restart, Status
from skitaid.supervisor.leaving import leave
from skitaid.supervisor.legacy import Legacy, Worker, settings_of
from skitaid.supervisor.nurseries import Nurseries
from skitaid.supervisor.privileges import Identity
from skitaid.supervisor.stopping import DRAIN_MARGIN
from skitaid.workers import control
from skitaid.workers import settings as worker
from skitaid.workers.scoreboard import Scoreboard


def ask_restart(master: ImaginedMaster, ticket: int = 7) -> None:
    master.tell(ev.Asked(ticket, Restart()))


def refusal(master: ImaginedMaster, ticket: int = 7) -> str:
    reply = master.replies[ticket]
    assert isinstance(reply, Refused), reply
    return reply.reason


def test_a_trial_that_ends_without_a_word_is_none() -> None:
    """An app may end the process with exit code 0 while it is imported."""
    master = ImaginedMaster()
    master.serve()
    ask_restart(master)
    master.end_trial(0, "")
    assert "left with exit code 0 before it had tried all" in refusal(master)
    assert (master.did(Become), master.told()) == ([], {})


def test_a_trial_that_fails_changes_nothing() -> None:
    """Its words go to who asked, and are kept for status."""
    master = ImaginedMaster()
    master.serve()
    ask_restart(master)
    assert master.did(Try) == [Try()]
    master.end_trial(1, "ImportError: no skitai of that version")
    assert "ImportError" in refusal(master)
    assert "ImportError" in master.ask(Status()).last_error
    assert (master.did(Become), master.told()) == ([], {})


def test_a_trial_that_does_not_end_is_killed() -> None:
    """And counts as failed."""
    master = ImaginedMaster(boot_timeout=20.0)
    master.serve()
    ask_restart(master)
    master.wait(20.0)
    assert master.did(KillTrial) == [KillTrial()]
    master.bury()
    assert "the trial was killed by SIGKILL" in refusal(master)


def test_a_good_trial_makes_way_for_the_next_program() -> None:
    """Which will answer all who asked meanwhile."""
    master = ImaginedMaster()
    master.serve()
    ask_restart(master, ticket=7)
    ask_restart(master, ticket=8)
    assert master.did(Try) == []
    master.end_trial()
    assert master.did(Become) == [Become((7, 8))]


def test_a_kernel_that_refuses_the_next_program_is_survived() -> None:
    """No memory, or the Python was removed after the trial."""
    master = ImaginedMaster()
    master.serve()
    ask_restart(master)
    master.end_trial()
    master.tell(ev.BecameNothing("No such file or directory", (7,)))
    assert "No such file or directory" in refusal(master)
    assert len(master.book.ready()) == 2


def test_a_server_that_is_not_up_is_not_restarted() -> None:
    """While it starts or stops."""
    master = ImaginedMaster(processes=1)
    (serial,) = master.start()
    ask_restart(master)
    assert "the server is starting" in refusal(master)
    master.ready(serial)
    master.stop(graceful=True)
    ask_restart(master, ticket=8)
    assert "the server is stopping" in refusal(master, 8)


def test_a_stop_ends_a_trial() -> None:
    """The server leaves when that is reaped."""
    master = ImaginedMaster(processes=1)
    (serial,) = master.serve()
    ask_restart(master)
    master.stop()
    assert master.did(KillTrial) == [KillTrial()]
    master.die(serial, exit_code=0)
    assert master.exit_code is None
    master.bury()
    assert master.exit_code == 0


def legacy_with(settings: bytes) -> Legacy:
    """Of a server without workers."""
    return Legacy(
        pid_file=3,
        control=4,
        callers={},
        lifeline=None,
        scoreboard=6,
        listeners=[],
        workers=[],
        tickets=[],
        serials=0,
        generations=1,
        extra=0,
        started=0.0,
        settings=msgspec.Raw(settings),
    )


@pytest.fixture
def heir() -> ImaginedMaster:
    """The next program, with one worker that serves, one that boots, and one that drains."""
    master = ImaginedMaster()
    common = {"generation": 2, "pipe": 9, "drain_timeout": 30.0, "boot_by": None, "forked_at": 1.0}
    legacy = Legacy(
        pid_file=3,
        control=4,
        callers={7: 5},
        lifeline=None,
        scoreboard=6,
        listeners=[],
        workers=[
            Worker(4, 0, pid=104, state="ready", kill_at=None, in_flight=0, **common),
            Worker(5, 1, pid=105, state="booting", kill_at=None, in_flight=0, **common),
            Worker(
                3,
                2,
                pid=103,
                state="retiring",
                kill_at=master.now + DRAIN_MARGIN,
                in_flight=2,
                **common,
            ),
        ],
        tickets=[7],
        serials=5,
        generations=2,
        extra=0,
        started=1_600_000_000.0,
    )
    master.book.inherit(legacy)
    master.generations = {3}
    master.alive = {4: 0, 5: 1, 3: 2}
    return master


def test_the_next_program_adopts_and_replaces(heir: ImaginedMaster) -> None:
    """One by one, as in a reload; serials, ordinals and the start go on."""
    assert heir.book.stage is Stage.SERVING
    heir.tell(ev.Started())
    (first,) = heir.forked()
    assert (first, heir.alive[first]) == (6, 3)
    heir.ready(5)
    assert heir.told() == {}
    heir.ready(first)
    assert heir.told() == {4: control.Retire()}
    heir.ready(heir.forked()[0])
    assert heir.told() == {5: control.Retire()}
    for serial in (3, 4, 5):
        heir.die(serial, exit_code=0)
    assert not isinstance(heir.replies[7], Refused)
    status = heir.ask(Status())
    assert (status.generation, status.started) == (3, 1_600_000_000.0)


def test_there_is_no_way_back_from_a_restart(heir: ImaginedMaster) -> None:
    """What does not boot is tried again; the old workers serve; who waits is told."""
    heir.tell(ev.Started())
    heir.die(heir.forked()[0], exit_code=1)
    assert "the restart goes on" in refusal(heir)
    assert heir.told() == {}
    heir.wait(1.0)
    assert len(heir.forked()) == 1


def test_a_conf_that_broke_after_the_trial_keeps_nobody_from_a_restart(
    heir: ImaginedMaster,
) -> None:
    """Who waits hears of it at once, and status keeps it; workers are replaced all the same."""
    heir.tell(ev.ConfBroken("web.conf:6: threadss: unknown key"))
    assert "web.conf:6" in refusal(heir)
    assert len(heir.forked()) == 1
    assert "web.conf:6" in heir.ask(Status()).last_error


def test_settings_that_another_version_has_left_are_none() -> None:
    """Rather than half understood ones; what we have left ourselves is what it was."""
    routes = (
        worker.StaticRoute("/", "/srv/static", "web.conf:8"),
        worker.AppRoute("/", "/srv/webapp.py", "web.conf:9"),
        worker.ClusterRoute("/far", "far", "web.conf:10"),
    )
    far = worker.HttpCluster("far", (worker.Member("far", 80),), False, "p2c", "web.conf:12")
    tls = worker.Tls((worker.Certificate("/srv/web.pem", ("a.example",), 2e9, "pem", "key"),))
    inner = worker.Settings("web", routes, http_clusters={"far": far}, tls=tls)
    ours = msgspec.structs.replace(settings(identity=Identity("www", 33, 33, "/")), worker=inner)
    for left, found in ((b'{"name": "web"}', None), (msgspec.json.encode(ours), ours)):
        assert settings_of(legacy_with(left)) == found


def test_who_asks_in_the_moment_of_a_restart_is_answered_by_the_next_program() -> None:
    """Its word was read with the end of the trial before; no trial of its own is waited for."""
    master = ImaginedMaster(processes=1)
    master.serve()
    ask_restart(master, ticket=7)
    master.end_trial()
    ask_restart(master, ticket=8)
    master.reload(ticket=9)
    nurseries = Nurseries(lambda *_: 0, Scoreboard())
    left = leave(
        master.book,
        nurseries,
        tickets=[7],
        pipe=lambda serial: -1,
        pid_file=3,
        control=4,
        callers={},
        lifeline=None,
    )
    assert sorted(left.tickets) == [7, 8, 9]


@pytest.mark.parametrize(("before", "after"), [(2, 3), (4, 2)])
def test_more_workers_are_wanted_until_the_conf_wants_another_number(
    before: int, after: int
) -> None:
    """Also if the next program is the first to read it."""
    left = legacy_with(msgspec.json.encode(settings(before)))
    heir = ImaginedMaster(processes=2)
    heir.book.inherit(msgspec.structs.replace(left, extra=1))
    assert heir.book.count == after


def test_what_the_last_program_has_killed_at_is_kept(heir: ImaginedMaster) -> None:
    """A worker that drains has no longer for a restart."""
    heir.tell(ev.Started())
    heir.wait(DRAIN_MARGIN)
    assert heir.killed() == [3]
