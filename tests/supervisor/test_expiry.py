"""Certificates that are over soon are told of, and not too often."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from imagined import ImaginedMaster

from skitaid.supervisor.actions import Log
from skitaid.supervisor.events import TimePassed
from skitaid.supervisor.expiry import DAY, SOON
from skitaid.supervisor.settings import Settings
from skitaid.workers.settings import Certificate, Tls

NOW = 1_700_000_000.0  # what the imagined master takes its first moment for


def with_certificates(settings: Settings, *left: float) -> Settings:
    """left: seconds that each of them is good for."""
    tls = Tls(tuple(Certificate("a.pem", ("a.example",), NOW + each, "", "") for each in left))
    return msgspec.structs.replace(settings, worker=replace(settings.worker, tls=tls))


def serving(*left: float) -> tuple[ImaginedMaster, list[str]]:
    """A master that serves, and what it has said of certificates meanwhile."""
    master = ImaginedMaster(processes=1)
    master.book.wanted.settings = with_certificates(master.book.wanted.settings, *left)
    (serial,) = master.start()
    told = warnings(master)
    master.ready(serial)
    return master, told + warnings(master)


def warnings(master: ImaginedMaster) -> list[str]:
    """What the last event has made it say."""
    return [action.text for action in master.did(Log) if "a.pem" in action.text]


def test_nobody_wakes_for_plain_http() -> None:
    """Without certificates there is nothing to look at."""
    master = ImaginedMaster(processes=1)
    master.serve()
    assert master.book.expiry_at is None


@pytest.mark.parametrize(
    ("left", "told"),
    [(SOON - 1, "is over in 29 days"), (3600, "is over in 0 days"), (-1, "is over since")],
)
def test_it_is_told_a_month_before(left: float, told: str) -> None:
    """Of each, and after it is over still."""
    _, said = serving(left, SOON + 1)
    assert [told in each for each in said] == [True]


def test_it_is_told_once_a_day() -> None:
    """From the day on when it is due; between them the master sleeps."""
    master, said = serving(SOON + DAY / 2)
    assert said == []
    for _ in range(3):
        assert master.deadline() == master.book.expiry_at
        master.now += DAY
        master.tell(TimePassed())
        assert len(warnings(master)) == 1
        master.tell(TimePassed())
        assert warnings(master) == []


def test_a_fresh_one_ends_it() -> None:
    """A reload looks at once: a wrong file is noticed the same day."""
    master, said = serving(SOON - 1)
    assert len(said) == 1
    master.conf = with_certificates(master.book.settings, 90 * DAY)
    master.reload()
    for serial in master.forked():
        master.ready(serial)
        assert warnings(master) == []
    assert master.book.settings is master.conf
