"""Children that nobody here has started, and that somebody has to wait for all the same.

Process 1 of a container inherits each process that loses its parent, such as what an app has run
in the background; a subreaper does so too, and a program that a shell has become by exec has the
shell's children. Dead, they are zombies until their parent waits for them.

Nobody looks without cause: SIGCHLD wakes the loop, and comes after a pidfd is readable. As all
that is readable is noted before anything is performed, whoever died of our own is waited for by
then, by who watches it. One that dies in between hides those behind it, since the kernel shows one
at a time, and its own SIGCHLD brings us here again.
"""

from __future__ import annotations

import os
from collections.abc import Container


def bury(ours: Container[int]) -> None:
    """Wait for the dead, up to one of these pids: its exit code is for another to take."""
    while (pid := _first_dead()) and pid not in ours:
        os.waitpid(pid, 0)


def _first_dead() -> int:
    """Without waiting for it; 0 if all live."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # there are no children at all
        return 0
    return found.si_pid if found else 0
