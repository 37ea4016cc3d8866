"""Where a process without a terminal writes: its errors to a log, the rest nowhere."""

from __future__ import annotations

import os
from pathlib import Path

from skitaid.workers.logs.owned import open_owned


def to_log(path: Path) -> None:
    """From now on stdin is empty, stdout is discarded and stderr is appended to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nothing = os.open(os.devnull, os.O_RDWR)
    append = open_owned(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor, target in ((0, nothing), (1, nothing), (2, append)):
        os.dup2(target, descriptor)
    os.close(nothing)
    os.close(append)
