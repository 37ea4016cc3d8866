"""What an operator has done by the status page, told without a process."""

from __future__ import annotations

import pytest
from imagined import ImaginedMaster

from skitaid.supervisor import events as ev
from skitaid.supervisor.actions import Load, Try
from skitaid.supervisor.book import Stage
from skitaid.workers import control

WHO = "admin from 10.0.0.7"


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
