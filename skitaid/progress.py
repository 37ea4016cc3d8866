"""How far servers are, told while a command waits for them.

The command's own thread waits for the one answer that counts; a second thread looks around
meanwhile and tells what has changed. Not around anything that forks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from skitaid.errors import SkitaidError
from skitaid.paths import Paths
from skitaid.status import ServerView, view

EVERY = 0.5  # seconds between two looks; what is over sooner needs no progress


@contextmanager
def telling(paths: Paths, names: Sequence[str], told: Callable[[str], None]) -> Iterator[None]:
    """`told` gets a line for each change of these servers, or of all, while in the block."""
    over = threading.Event()
    thread = threading.Thread(
        target=_tell, args=(paths, names, told, over), name="progress", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def line(server: ServerView) -> str:
    """How far a server is on its way; "" if it is on none."""
    if server.state == "queued":
        return f"{server.name} waits for its turn to start"
    if server.state == "starting":
        ready = sum(worker.state == "ready" for worker in server.workers)
        return f"starting {server.name}: {ready} of {server.processes or '?'} workers are ready"
    if server.state == "stopping" and server.processes:
        gone = max(0, server.processes - len(server.workers))
        left = sum(worker.in_flight for worker in server.workers)
        return (
            f"draining {server.name}: {gone} of {server.processes} workers retired,"
            f" {left} {'request' if left == 1 else 'requests'} left"
        )
    return ""


def _tell(
    paths: Paths, names: Sequence[str], told: Callable[[str], None], over: threading.Event
) -> None:
    """In the thread. What cannot be found out is no progress."""
    said: dict[str, str] = {}
    while not over.wait(EVERY):
        try:
            servers = view(paths).servers
        except SkitaidError:
            continue
        for server in servers:
            text = line(server)
            if (server.name in names or not names) and text and text != said.get(server.name):
                said[server.name] = text
                told(text)
