"""What the fleet does about what happens, told without a process."""

from __future__ import annotations

import logging
import signal
from typing import Any, TypeVar

import pytest

from skitaid.fleet import events as ev
from skitaid.fleet.actions import Action, FleetAnswer, Look, ReopenLog, Settled, Signal, Spawn
from skitaid.fleet.book import LOOK_WITHIN, QUIET, TURN, Book
from skitaid.fleet.decide import decide
from skitaid.fleet.moves import STOP_TIME
from skitaid.fleet.records import FleetStatus, Request, Rotate, Start, Status, Stop
from skitaid.fleet.records import Look as LookNow
from skitaid.fleet.server import Server, State
from skitaid.supervisor.actions import Exit, Log
from skitaid.supervisor.backoff import LONGEST, Backoff
from skitaid.supervisor.control_records import Refused
from skitaid.supervisor.events import StopWanted, TimePassed

A = TypeVar("A")

STARTS_MAX = 4


class ImaginedFleet:
    """Masters are spawned at once; `done` holds what the last event has caused."""

    def __init__(self, *names: str) -> None:
        self.now = 1000.0
        self.book = Book(
            self.now, lambda: 0.0, pid=1, unix_time=1_700_000_000.0, starts_max=STARTS_MAX
        )
        self.done: list[Action] = []
        self.replies: dict[int, Any] = {}
        self.exit_code: int | None = None
        self._pid = 100
        self.tell(ev.FleetStarted(tuple(ev.ConfSeen(name, "1") for name in names)))

    def tell(self, event: ev.Event) -> None:
        """An event happens now."""
        self.done = []
        self._handle(event)

    def _handle(self, event: ev.Event) -> None:
        actions = decide(self.book, event, self.now)
        self.done += actions
        for consequence in [news for action in actions for news in self._imagine(action)]:
            self._handle(consequence)

    def _imagine(self, action: Action) -> list[ev.Event]:
        if isinstance(action, Exit):
            self.exit_code = action.code
        if isinstance(action, FleetAnswer):
            self.replies[action.ticket] = action.reply
        if not isinstance(action, Spawn):
            return []
        self._pid += 1
        return [ev.MasterSpawned(action.name, self._pid, log_from=10, digest="1")]

    def ready(self, *names: str) -> None:
        for name in names:
            self.tell(ev.MasterReady(name))

    def die(self, name: str, exit_code: int, said: str = "") -> None:
        self.tell(ev.MasterDied(name, exit_code, log_to=99, said=said))

    def stop(self, *, graceful: bool = False) -> None:
        self.tell(StopWanted(graceful, "SIGTERM"))

    def ask(self, request: Request, ticket: int = 1) -> Any:
        """The reply, if it has come already."""
        self.tell(ev.FleetAsked(ticket, request))
        return self.replies.get(ticket)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.tell(TimePassed())

    def did(self, kind: type[A]) -> list[A]:
        return [action for action in self.done if isinstance(action, kind)]

    def spawned(self) -> list[str]:
        return [action.name for action in self.did(Spawn)]

    def signalled(self) -> dict[str, signal.Signals]:
        """What each was told; not that it is to go on, if somebody has stopped it."""
        orders = [action for action in self.did(Signal) if action.number != signal.SIGCONT]
        return {action.name: action.number for action in orders}

    def states(self) -> dict[str, str]:
        return {name: server.state.value for name, server in self.book.servers.items()}


def test_a_server_that_fails_at_the_start_leaves_the_others_up() -> None:
    """Who waits for the start is told when each has come up or failed."""
    fleet = ImaginedFleet("api", "web")
    fleet.die("api", 1)
    assert fleet.did(Settled) == []
    fleet.ready("web")
    (settled,) = fleet.did(Settled)
    assert {s.name: s.state for s in settled.status.servers} == {"api": "waiting", "web": "running"}
    assert fleet.exit_code is None


def test_the_log_has_the_last_words_of_a_failed_start() -> None:
    """Where it is all there is, as in a container. Of a sudden end the log's end tells nothing."""
    fleet = ImaginedFleet("web")
    fleet.die("web", 1, said="binding\nserver web: cannot listen on 127.0.0.1:80")
    log = next(each for each in fleet.did(Log) if "exit code" in each.text)
    assert log.text.endswith("; its last words: server web: cannot listen on 127.0.0.1:80")

    other = ImaginedFleet("web")
    other.ready("web")
    other.die("web", -9, said="an answer")
    assert "last words" not in other.did(Log)[-1].text


def test_a_fleet_of_which_nothing_comes_up_leaves() -> None:
    """Exit code 1, after it has told why."""
    fleet = ImaginedFleet("api", "web")
    fleet.die("api", 1)
    fleet.die("web", 2)
    assert [type(action) for action in fleet.done if not isinstance(action, Log)] == [Settled, Exit]
    assert fleet.exit_code == 1


def test_a_python_that_does_not_run_is_a_failed_start() -> None:
    """The path in skitaid.conf was wrong, or has gone."""
    fleet = ImaginedFleet("web")
    fleet.tell(ev.SpawnFailed("web", "its master could not be run: No such file"))
    failure = fleet.did(Settled)[0].status.servers[0].failure
    assert failure
    assert failure.why == "its master could not be run: No such file"
    assert fleet.exit_code == 1


def test_a_server_that_crashes_is_tried_again_with_growing_pauses() -> None:
    """1, 2, 4 … up to a minute, and its state says so."""
    fleet = ImaginedFleet("api", "web")
    fleet.ready("api", "web")
    waits = []
    for _ in range(8):
        fleet.die("web", -signal.SIGSEGV)
        assert fleet.spawned() == []
        wait = (fleet.book.next_deadline() or 0) - fleet.now
        waits.append(wait)
        fleet.wait(wait)
        assert fleet.spawned() == ["web"]
    assert waits == [1, 2, 4, 8, 16, 32, 60, LONGEST]


def test_the_reason_stays_known_during_the_next_try() -> None:
    """Status does not forget it for the second that the next start takes."""
    fleet = ImaginedFleet("api", "web")
    fleet.ready("api")
    fleet.die("web", 1)
    fleet.wait(1)
    assert fleet.states()["web"] == "starting"
    assert fleet.ask(Status()).servers[1].failure.why == "master left with exit code 1"


def test_of_a_sudden_end_the_log_knows_nothing() -> None:
    """What it says is of better days, so no part of it is named."""
    fleet = ImaginedFleet("web")
    fleet.ready("web")
    fleet.die("web", -9)
    failure = fleet.ask(Status()).servers[0].failure
    assert failure.why == "master was killed by SIGKILL"
    assert failure.log_from == failure.log_to


def test_exit_code_zero_means_stay_down() -> None:
    """Somebody has shut it down; the fleet does not know better."""
    fleet = ImaginedFleet("api", "web")
    fleet.ready("api", "web")
    fleet.die("web", 0)
    assert fleet.states() == {"api": "running", "web": "stopped"}
    assert fleet.book.next_deadline() is None


def test_an_operator_does_not_wait_for_the_back_off() -> None:
    """`skitaid start NAME` tries now and forgets the failures; the reply comes when it is up."""
    fleet = ImaginedFleet("api", "web")
    fleet.ready("api")
    fleet.die("web", 1)
    assert fleet.ask(Start(["web"])) is None
    assert fleet.spawned() == ["web"]
    fleet.ready("web")
    (report,) = fleet.replies[1].servers
    assert (report.state, report.failures, report.failure) == ("running", 0, None)


def test_the_reply_to_a_start_comes_as_well_when_it_fails() -> None:
    """With the part of the log that tells the reason."""
    fleet = ImaginedFleet("api")
    fleet.ready("api")
    fleet.ask(Start(["web"]))
    fleet.die("web", 1)
    (report,) = fleet.replies[1].servers
    assert report.state == "waiting"
    assert report.failure.why == "master left with exit code 1"
    assert (report.failure.log_from, report.failure.log_to) == (10, 99)


def test_start_of_a_running_server_is_answered_at_once() -> None:
    """There is nothing to do."""
    fleet = ImaginedFleet("web")
    fleet.ready("web")
    assert fleet.ask(Start(["web"])).servers[0].state == "running"
    assert fleet.spawned() == []


def test_stop_of_one_server_keeps_it_down_and_the_others_up() -> None:
    """The reply comes when it is gone."""
    fleet = ImaginedFleet("api", "web")
    fleet.ready("api", "web")
    assert fleet.ask(Stop(["web"], graceful=True)) is None
    assert fleet.signalled() == {"web": signal.SIGQUIT}
    fleet.die("web", 0)
    assert fleet.replies[1].servers[0].state == "stopped"
    assert fleet.states()["api"] == "running"


def test_stop_gives_up_a_server_that_is_tried_again() -> None:
    """At once; it has no process."""
    fleet = ImaginedFleet("api", "web")
    fleet.ready("api")
    fleet.die("web", 1)
    assert fleet.ask(Stop(["web"])).servers[0].state == "stopped"
    assert fleet.book.next_deadline() is None


def test_stop_of_a_server_nobody_knows_is_refused() -> None:
    """The sentence says which there are."""
    fleet = ImaginedFleet("web")
    assert fleet.ask(Stop(["wbe"])) == Refused("skitaid runs no server wbe; it runs web")


def test_a_start_during_a_stop_is_done_after_it() -> None:
    """Both are answered when it is up again."""
    fleet = ImaginedFleet("api", "web")
    fleet.ready("api", "web")
    fleet.ask(Stop(["web"]), ticket=1)
    fleet.ask(Start(["web"]), ticket=2)
    fleet.die("web", 0)
    assert fleet.spawned() == ["web"]
    assert fleet.replies == {}
    fleet.ready("web")
    assert [fleet.replies[ticket].servers[0].state for ticket in (1, 2)] == ["running", "running"]


def test_a_stop_overtakes_a_start() -> None:
    """Who says stop last, gets it; all are answered."""
    fleet = ImaginedFleet("api", "web")
    fleet.ready("api", "web")
    fleet.ask(Stop(["web"]), ticket=1)
    fleet.ask(Start(["web"]), ticket=2)
    fleet.ask(Stop(["web"]), ticket=3)
    fleet.die("web", 0)
    assert fleet.spawned() == []
    states = [fleet.replies[ticket].servers[0].state for ticket in (1, 2, 3)]
    assert states == ["stopped", "stopped", "stopped"]


def test_a_master_that_does_not_stop_is_killed() -> None:
    """Its workers see that it is gone, and leave."""
    fleet = ImaginedFleet("web")
    fleet.ready("web")
    fleet.stop()
    fleet.wait(STOP_TIME - 0.1)
    assert fleet.signalled() == {}
    fleet.wait(0.2)
    assert fleet.signalled() == {"web": signal.SIGKILL}
    fleet.die("web", -9)
    assert fleet.exit_code == 0


def test_a_fast_stop_overtakes_a_graceful_one() -> None:
    """An operator who loses patience is obeyed."""
    fleet = ImaginedFleet("web")
    fleet.ready("web")
    fleet.stop(graceful=True)
    assert fleet.signalled() == {"web": signal.SIGQUIT}
    assert fleet.book.next_deadline() is None
    fleet.stop(graceful=True)
    assert fleet.signalled() == {}
    fleet.stop()
    assert fleet.signalled() == {"web": signal.SIGTERM}


@pytest.mark.parametrize("graceful", [True, False])
def test_a_master_that_somebody_has_stopped_hears_that_it_is_to_end(graceful: bool) -> None:
    """It is continued after it was told."""
    fleet = ImaginedFleet("web")
    fleet.ready("web")
    fleet.stop(graceful=graceful)
    assert fleet.did(Signal)[-1] == Signal("web", signal.SIGCONT)


def test_nothing_starts_while_the_fleet_stops() -> None:
    """Not on request, not after a crash, not after a wait."""
    fleet = ImaginedFleet("api", "web")
    fleet.ready("api")
    fleet.die("web", 1)
    fleet.stop()
    assert fleet.ask(Start(["web"])) == Refused("skitaid is stopping")
    fleet.wait(5)
    assert fleet.spawned() == []
    fleet.die("api", 1)
    assert (fleet.spawned(), fleet.exit_code) == ([], 0)


def test_status_is_answered_at_once_even_while_stopping() -> None:
    """With all servers by name, and Unix times."""
    fleet = ImaginedFleet("web", "api")
    fleet.stop()
    status = fleet.ask(Status())
    assert isinstance(status, FleetStatus)
    assert [(s.name, s.state) for s in status.servers] == [("api", "stopping"), ("web", "stopping")]
    assert (status.pid, status.started) == (1, 1_700_000_000.0)


def test_failures_are_forgotten_after_a_steady_time() -> None:
    """Status does not show last week's as if they were today's."""
    fleet = ImaginedFleet("api", "web")
    fleet.ready("api")
    fleet.die("web", 1)
    fleet.wait(1)
    fleet.ready("web")
    assert fleet.ask(Status(), ticket=1).servers[1].failures == 1
    fleet.wait(60)
    assert fleet.ask(Status(), ticket=2).servers[1].failures == 0


def test_no_server_goes_where_it_cannot() -> None:
    """The table of legal moves is the law."""
    server = Server("web", Backoff(lambda: 0.0), since=0.0)
    with pytest.raises(ValueError, match="web is stopped and cannot be running"):
        server.move(State.RUNNING, 1.0)


# Confs that come, change and go


def seen(**digests: str) -> ev.ConfsSeen:
    """What servers-enabled holds now; a digest that begins with ! has mistakes."""
    return ev.ConfsSeen(
        tuple(
            ev.ConfSeen(name, digest, "web.conf:1: wrong" if digest.startswith("!") else "")
            for name, digest in digests.items()
        )
    )


def test_a_burst_of_changes_is_looked_at_once_when_it_is_quiet() -> None:
    """An editor writes, renames and removes."""
    fleet = ImaginedFleet("web")
    for _ in range(3):
        fleet.tell(ev.ConfsTouched())
        fleet.wait(QUIET / 2)
        assert fleet.did(Look) == []
    fleet.wait(QUIET)
    assert fleet.did(Look) == [Look()]
    assert fleet.book.look_at is None


def test_endless_changes_do_not_keep_from_looking() -> None:
    """Somebody may write there all the time."""
    fleet = ImaginedFleet("web")
    waited = 0.0
    while not fleet.did(Look):
        fleet.tell(ev.ConfsTouched())
        fleet.wait(QUIET / 2)
        waited += QUIET / 2
    assert waited <= LOOK_WITHIN + QUIET


def test_a_changed_conf_reloads_its_server_only() -> None:
    """Written anew with the same content it changes nothing."""
    fleet = ImaginedFleet("api", "web")
    fleet.ready("api", "web")
    fleet.tell(seen(api="1", web="2"))
    assert fleet.signalled() == {"web": signal.SIGHUP}
    fleet.tell(seen(api="1", web="2"))
    assert fleet.signalled() == {}


def test_a_master_that_boots_is_told_when_it_is_ready() -> None:
    """Before that it would die of the signal; of two reloads it hears one."""
    fleet = ImaginedFleet("web")
    fleet.tell(seen(web="2"))
    fleet.tell(seen(web="3"))
    assert fleet.signalled() == {}
    fleet.ready("web")
    assert fleet.signalled() == {"web": signal.SIGHUP}


def test_a_conf_with_mistakes_is_told_about_once_and_changes_nothing() -> None:
    """Back as it was, there is nothing to reload."""
    fleet = ImaginedFleet("web")
    fleet.ready("web")
    fleet.tell(seen(web="!"))
    assert [log.level for log in fleet.did(Log)] == [logging.ERROR]
    assert fleet.ask(Status()).servers[0].complaints == "web.conf:1: wrong"
    fleet.tell(seen(web="!"))
    assert fleet.done == []
    fleet.tell(seen(web="1"))
    assert fleet.done == []
    assert fleet.ask(Status(), ticket=2).servers[0].complaints == ""


def test_a_removed_conf_stops_its_server_gracefully_and_it_is_forgotten() -> None:
    """Once, however often it is looked."""
    fleet = ImaginedFleet("api", "web")
    fleet.ready("api", "web")
    fleet.tell(seen(api="1"))
    assert fleet.signalled() == {"web": signal.SIGQUIT}
    fleet.tell(seen(api="1"))
    assert fleet.done == []
    fleet.die("web", 0)
    assert fleet.states() == {"api": "running"}


def test_a_conf_that_comes_back_while_its_master_stops() -> None:
    """It is started again."""
    fleet = ImaginedFleet("api", "web")
    fleet.ready("api", "web")
    fleet.tell(seen(api="1"))
    fleet.tell(seen(api="1", web="1"))
    fleet.die("web", 0)
    assert fleet.spawned() == ["web"]


def test_a_changed_conf_does_not_wait_for_the_back_off() -> None:
    """Somebody is mending it."""
    fleet = ImaginedFleet("api", "web")
    fleet.ready("api")
    fleet.die("web", 1)
    fleet.tell(seen(api="1", web="2"))
    assert fleet.spawned() == ["web"]


def test_who_asks_for_a_look_hears_when_it_is_carried_out() -> None:
    """Of servers that are gone for good it hears nothing."""
    fleet = ImaginedFleet("api", "web")
    fleet.ready("api", "web")
    assert fleet.ask(LookNow(["new", "web"])) is None
    assert fleet.did(Look) == [Look()]
    fleet.tell(seen(api="1", new="1"))
    fleet.die("web", 0)
    assert 1 not in fleet.replies
    fleet.ready("new")
    assert [s.name for s in fleet.replies[1].servers] == ["new"]


def test_rotate_tells_all_masters_and_the_fleet_itself() -> None:
    """Or one server only."""
    fleet = ImaginedFleet("api", "web")
    fleet.ready("api", "web")
    assert isinstance(fleet.ask(Rotate([])), FleetStatus)
    assert fleet.signalled() == {"api": signal.SIGUSR1, "web": signal.SIGUSR1}
    assert fleet.did(ReopenLog) == [ReopenLog()]
    fleet.ask(Rotate(["web"]))
    assert fleet.signalled() == {"web": signal.SIGUSR1}
    assert fleet.did(ReopenLog) == []


# Many servers


def test_only_so_many_start_at_once_in_the_order_of_names() -> None:
    """Each that comes up or fails makes room for the next."""
    fleet = ImaginedFleet("f", "e", "d", "c", "b", "a")
    assert fleet.spawned() == ["a", "b", "c", "d"]
    assert fleet.states()["e"] == "queued"
    fleet.ready("c")
    assert fleet.spawned() == ["e"]
    fleet.die("a", 1)
    assert fleet.spawned() == ["f"]


def test_who_does_not_come_up_does_not_keep_the_others_waiting_for_ever() -> None:
    """An app that hangs at its import has its turn, and then counts no more."""
    fleet = ImaginedFleet("a", "b", "c", "d", "e")
    wait = (fleet.book.next_deadline() or 0) - fleet.now
    assert wait == TURN
    fleet.wait(wait)
    assert fleet.spawned() == ["e"]


def test_a_stop_empties_the_queue() -> None:
    """Nothing starts any more."""
    fleet = ImaginedFleet("a", "b", "c", "d", "e")
    fleet.stop()
    assert fleet.states()["e"] == "stopped"
    for name in "abcd":
        fleet.die(name, 0)
    assert (fleet.spawned(), fleet.exit_code) == ([], 0)
