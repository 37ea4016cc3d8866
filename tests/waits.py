"""Waiting for what gives no sign: a condition is looked at again and again, but not for ever."""

from __future__ import annotations

import errno
import os
import select
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 60.0  # seconds; for a busy machine: only a test that fails waits that long
LOOK_EVERY = 0.01  # seconds


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Look until `condition()` is true. `what` was waited for, if it never is."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE:g} s in vain: {what}"
        time.sleep(LOOK_EVERY)


GATED = """\
from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/gate")
def gate(was):
    with open("{directory}/came", "w"):
        pass
    with open("{directory}/go") as go:
        go.read()
    return "through"
"""


class Gate:
    """A request to /gate of `app()` stands before it until it is opened, and says that it does.

    Made of two FIFOs, so nobody sleeps and nobody looks twice.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._directory = directory
        os.mkfifo(directory / "came")
        os.mkfifo(directory / "go")
        self._came = os.open(directory / "came", os.O_RDONLY | os.O_NONBLOCK)

    def app(self) -> str:
        """The text of an app with the handler."""
        return GATED.format(directory=self._directory)

    def wait_came(self) -> None:
        """Wait until a request stands before the gate."""
        poll = select.poll()
        poll.register(self._came, select.POLLIN)
        assert poll.poll(PATIENCE * 1000), "no request has come to the gate"

    def open(self) -> None:
        """Let it through. Fails, instead of waiting for ever, if nobody stands there any more."""
        wait_until(self._let_through, "somebody stands before the gate")

    def _let_through(self) -> bool:
        """Whether somebody did. Whoever has said that it came is just about to."""
        try:
            os.close(os.open(self._directory / "go", os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            if error.errno == errno.ENXIO:  # nobody reads: fifo(7)
                return False
            raise
        return True

    def close(self) -> None:
        os.close(self._came)
