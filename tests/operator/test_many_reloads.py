"""Reloads do not wear a master out."""

from __future__ import annotations

import psutil
from operator_session import Home
from waits import wait_until

from skitaid import masters
from skitaid.paths import Paths

RELOADS = 100
GROWTH_MAX = 1.05  # of the resident memory


def test_a_hundred_reloads_leave_nothing_behind(home: Home) -> None:
    """As many open files and threads as before, and the same memory."""
    server = home.serve("web")
    master = psutil.Process(server.pid)
    paths = Paths.find(str(home.etc), str(home.var))

    def reload() -> None:
        masters.reload(paths, ["web"], lambda text: None)

    reload()
    files, threads, rss = master.num_fds(), master.num_threads(), master.memory_info().rss
    for _ in range(RELOADS):
        reload()
    wait_until(lambda: master.num_fds() <= files, f"{files} open files, as before")
    assert master.num_threads() == threads
    assert master.memory_info().rss <= rss * GROWTH_MAX
    assert len(master.children()) == 1
