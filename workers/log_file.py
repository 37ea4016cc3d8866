"""The file behind stderr, which somebody may move away to have a new one written.

Master and workers have it open each by itself, so each of them reopens it.
"""

from __future__ import annotations

import os
from pathlib import Path

STDOUT, STDERR = 1, 2


def is_behind_stderr(path: Path) -> bool:
    """Whether stderr is this file, and not a terminal, a pipe, or another file."""
    try:
        return os.path.samestat(os.fstat(STDERR), path.stat())
    except OSError:  # there is none, or it is not ours to look at
        return False


def reopen(path: Path) -> None:
    """Write to the file that is at `path` from now on, a new one if need be.

    stdout goes with stderr if they were the same file. Raises `OSError`; then all stays as it was.
    """
    together = os.path.samestat(os.fstat(STDOUT), os.fstat(STDERR))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    for standard in (STDOUT, STDERR) if together else (STDERR,):
        os.dup2(descriptor, standard)
    os.close(descriptor)
