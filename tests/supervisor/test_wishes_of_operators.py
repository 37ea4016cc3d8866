"""What an operator has done by the status page, told without a process."""

from __future__ import annotations

import pytest
from imagined import ImaginedMaster

from skitaid.supervisor import events as ev
from skitaid.supervisor.actions import Load, Try
from skitaid.supervisor.book import Stage
from skitaid.workers import control
from skitaid.workers.settings import HttpCluster, Member
from skitaid.workers.standing import Standing, State

WHO = "admin from 10.0.0.7"
ONE = Member("one", 80)
BACK = (HttpCluster("back", (ONE,), tls=False, balance="p2c", where="web.conf:9"),)


def wish(master: ImaginedMaster, serial: int, what: str) -> None:
    wished = control.Wish(what, WHO)  # type: ignore[arg-type]
    master.tell(ev.OperatorWishes(serial, wished))


def test_reload_and_restart_begin_as_they_do_by_command() -> None:
    """Conf and apps are read again; a restart is tried first."""
    master = ImaginedMaster()
    serial, _ = master.serve()
    wish(master, serial, "reload")
    assert len(master.did(Load)) == 1
    assert f"{WHO} on the status page: reading the conf again" in master.logged()
    wish(master, serial, "restart")
    assert len(master.did(Try)) == 1
    assert f"{WHO} on the status page: trying whether a restart" in master.logged()


def test_one_worker_more_and_one_less() -> None:
    """By one each time; the last one stays."""
    master = ImaginedMaster(processes=1)
    (serial,) = master.serve()
    wish(master, serial, "more")
    (second,) = master.forked()
    master.ready(second)
    for _ in range(3):
        wish(master, serial, "fewer")
    assert master.book.count == 1
    assert f"{WHO} on the status page: there shall be 1 workers" in master.logged()


def test_stop_lets_requests_end() -> None:
    """Whoever clicks does not cut off others' requests."""
    master = ImaginedMaster()
    first, second = master.serve()
    wish(master, first, "stop")
    assert master.told() == {first: control.Retire(), second: control.Retire()}
    assert master.book.stage is Stage.STOPPING


def test_all_workers_are_told_to_clear_their_caches() -> None:
    """Those that leave too: they still answer."""
    master = ImaginedMaster()
    first, second = master.serve()
    wish(master, first, "clear")
    assert master.told() == {first: control.ClearCache(), second: control.ClearCache()}
    assert f"{WHO} on the status page: the result caches are emptied" in master.logged()


@pytest.mark.parametrize("what", ["reload", "restart", "more", "fewer", "stop"])
def test_a_server_that_stops_goes_on_stopping(what: str) -> None:
    """Whatever is wished for then."""
    master = ImaginedMaster()
    serial, _ = master.serve()
    master.stop(graceful=True)
    wish(master, serial, what)
    assert (master.did(Load), master.did(Try), master.forked()) == ([], [], [])
    assert master.book.stage is Stage.STOPPING


def wish_for(master: ImaginedMaster, serial: int, node: str, state: State) -> None:
    wished = control.WishForMember("back", node, state, WHO)
    master.tell(ev.OperatorWishes(serial, wished))


def test_members_are_changed_as_by_command() -> None:
    """All workers are told, and those that come later; the log says who wanted it."""
    master = ImaginedMaster(clusters=BACK)
    first, second = master.serve()
    wish_for(master, first, "one:80", State.DRAINED)
    said = [Standing("back", "one:80", State.DRAINED)]
    assert master.told() == {each: control.SetMembers(said) for each in (first, second)}
    assert f"{WHO} on the status page: [@back]: one:80 is drained" in master.logged()
    assert list(master.book.standings) == [("back", "one:80")]
    wish_for(master, first, "one:80", State.ENABLED)
    assert master.book.standings == {}


def test_a_member_that_a_reload_has_taken_away() -> None:
    """Nobody waits for an answer, so the log says it."""
    master = ImaginedMaster(clusters=BACK)
    serial, _ = master.serve()
    wish_for(master, serial, "gone:80", State.DRAINED)
    assert master.told() == {}
    assert "[@back] has no member gone:80" in master.logged()
