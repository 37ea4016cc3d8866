"""The process that tries what the next program would do."""

from __future__ import annotations

import errno
import os
import sys

import psutil
import pytest

from skitaid.supervisor import trial
from skitaid.supervisor.trial import Trial


def no_more_descriptors(pid: int) -> None:
    """The kernel has had enough for the process itself, and not for one more."""
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def test_one_that_cannot_be_watched_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process that nobody knows, no descriptor."""
    monkeypatch.setattr(trial, "Pidfd", no_more_descriptors)
    this = psutil.Process()
    children, descriptors = this.children(), this.num_fds()
    with pytest.raises(OSError, match="Too many open files"):
        Trial([sys.executable, "-c", "import signal; signal.pause()"])
    assert (this.children(), this.num_fds()) == (children, descriptors)


def test_one_that_ends_is_heard() -> None:
    """Its exit code and all it has said."""
    tried = Trial([sys.executable, "-c", "import sys; sys.exit('no such app')"])
    assert tried.reap() == (1, "no such app")
