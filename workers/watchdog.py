"""What a worker says of itself when its loop may be hanging: SIGUSR2, from the master or by hand.

Three answers, because the first needs nothing and the others need the GIL:

- the stacks of all threads on stderr, written by faulthandler's C handler, which runs even if
  an extension keeps the GIL for ever;
- the requests in hand, in the log, by a thread of our own;
- both to the master, for whoever has asked (`skitaid stacks`), by that thread.

The thread sleeps in pause(2), which ends when a signal handler has run *in that thread*. So the
kernel must deliver SIGUSR2 there and nowhere else: it is blocked in the main thread before any
other thread exists, and all later ones inherit that. Nothing polls, and nothing depends on the
loop or on the main thread, which are what may hang. Rejected: a handler in Python (it runs in
the main thread, when that comes round to it) and `signal.set_wakeup_fd` (it is uvloop's).

A second thread looks to the end of the control pipe, which says that the master is gone: who
hangs then would never hear of it, nobody would end him, and he would keep the port for ever. So he
gets as long as a drain takes, and ends with the stacks on stderr. (Not if an extension keeps the
GIL for ever.)

Programs that an app runs inherit the blocked signal too; a signal that comes while the requests
are being written is answered with the stacks alone.
"""

from __future__ import annotations

import faulthandler
import logging
import select
import signal
import socket
import threading
from collections.abc import Callable

from . import control
from .stacks import stacks

log = logging.getLogger(__name__)

SIGNAL = signal.SIGUSR2
STDERR = 2  # whatever it leads to by then
MARGIN = 1.0  # seconds after drain_timeout: who is there then is hung


class Watchdog:
    """One per worker process, made before any other thread."""

    def __init__(self, pipe: socket.socket, drain_timeout: float) -> None:
        """`pipe`: this worker's end of the control pipe, of which nothing is read here."""
        # Who has the requests; while the apps are imported, nobody.
        self.report: Callable[[], str] = _booting
        self._pipe = pipe
        signal.pthread_sigmask(signal.SIG_BLOCK, (SIGNAL,))
        faulthandler.register(SIGNAL, file=STDERR, all_threads=True, chain=False)
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()
        leaves_within = drain_timeout + MARGIN
        threading.Thread(
            target=_outlive_master, args=(pipe, leaves_within), name="lifeline", daemon=True
        ).start()

    def _watch(self) -> None:
        """In the thread."""
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals() - {SIGNAL})
        while True:
            signal.pause()
            try:
                report = self.report()
                log.warning("%s", report)
                self._tell(f"{report}\n\n{stacks()}")
            except Exception:  # what it looks at is in motion; the next signal finds it elsewhere
                log.exception("the requests in hand could not be listed")

    def _tell(self, text: str) -> None:
        """The pipe is the loop's, too; a packet of one thread is whole, whatever the other does."""
        descriptor = control.write_down(text.encode("utf-8", "replace"))
        try:
            control.send(self._pipe, control.Told(control.BY_SIGNAL), [descriptor])
        except (BrokenPipeError, ConnectionResetError, BlockingIOError):
            pass  # the master is gone, or does not read; the log has it
        finally:
            control.close_all([descriptor])


def _outlive_master(pipe: socket.socket, seconds: float) -> None:
    """In the other thread."""
    poll = select.poll()
    poll.register(pipe, 0)  # for POLLHUP, which is always told
    poll.poll()
    faulthandler.dump_traceback_later(seconds, file=STDERR, exit=True)


def _booting() -> str:
    return "the apps are being imported; no request is in hand"
