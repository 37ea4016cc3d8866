"""What ps and top call our processes."""

from __future__ import annotations

import setproctitle

MASTER_TITLE = "skitaid: master"
WORKER_TITLE = "skitaid: worker"


def be_master(name: str) -> None:
    """This process is the master of the server `name`."""
    setproctitle.setproctitle(f"{MASTER_TITLE} {name}")


def be_worker(name: str, ordinal: int) -> None:
    """This process is a worker of the server `name`."""
    setproctitle.setproctitle(f"{WORKER_TITLE} {name}/{ordinal}")
