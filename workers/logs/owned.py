"""Opening the files of a log directory, which belong to whom the directory belongs to.

A master that is root writes to the same logs as its workers, who are not. What it makes there is
theirs; and it follows no links there, or they could make it write anywhere.
"""

from __future__ import annotations

import os
from pathlib import Path

MODE = 0o640  # targets of requests are nobody's business


def open_owned(path: Path, flags: int) -> int:
    """A descriptor. Raises OSError."""
    if os.geteuid() != 0:
        return os.open(path, flags | os.O_CLOEXEC, MODE)
    directory = path.parent.stat()
    if directory.st_uid == 0:
        return os.open(path, flags | os.O_CLOEXEC, MODE)
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
    there = os.fstat(descriptor)
    if there.st_uid == 0 and there.st_nlink == 1:  # made by us, just now or before
        os.fchown(descriptor, directory.st_uid, directory.st_gid)
    return descriptor
