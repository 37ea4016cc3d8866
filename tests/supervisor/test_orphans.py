"""Whom a process waits for that it has not started: told with real children."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest
from waits import PATIENCE

from skitaid.supervisor.orphans import bury
from skitaid.supervisor.pidfd import Pidfd


class Dead:
    """A child that has ended; nobody has waited for it."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(command)
        self.pid = self.process.pid
        pidfd = Pidfd(self.pid)
        assert pidfd.wait(PATIENCE)
        pidfd.close()


@pytest.fixture
def others() -> set[int]:
    """Living children of this process that are none of our business."""
    children = psutil.Process().children()
    return {child.pid for child in children if child.status() != psutil.STATUS_ZOMBIE}


def test_one_of_ours_keeps_its_exit_code(others: set[int]) -> None:
    """The one behind it has to wait until that is taken."""
    ours = Dead("sh", "-c", "exit 7")
    orphan = Dead("true")
    bury({*others, ours.pid})
    assert psutil.pid_exists(orphan.pid)
    assert ours.process.wait() == 7
    bury({*others, ours.pid})
    assert not psutil.pid_exists(orphan.pid)
    assert orphan.process.wait() == 0  # nobody knows any more


def test_all_who_are_not_ours_are_buried_at_once(others: set[int]) -> None:
    """One look is enough; the living are left alone."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as living:
        orphans = [Dead("true") for _ in range(5)]
        bury(others)
        assert not any(psutil.pid_exists(orphan.pid) for orphan in orphans)
        assert psutil.Process(living.pid).status() != psutil.STATUS_ZOMBIE
        bury(others)
    for orphan in orphans:
        orphan.process.wait()


def test_without_children_there_is_nothing_to_do() -> None:
    """As in a master whose first worker is not forked yet."""
    script = "from skitaid.supervisor.orphans import bury; bury(set())"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
