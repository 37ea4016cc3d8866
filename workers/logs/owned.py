"""Opening the files of a log directory, which belong to whom the directory belongs to.

A master that is root writes to the same logs as its workers, who are not. What it makes there is
theirs; and what they can put there must not harm it: it follows no links there, or they could make
it write anywhere, and no open waits, as that of a FIFO would until somebody reads.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MODE = 0o640  # targets of requests are nobody's business
WHY = {
    errno.ENXIO: "it is no regular file",  # a FIFO that nobody reads, a socket
    errno.ELOOP: "it is a link, which root does not follow in a directory of another user",
}


def open_owned(path: Path, flags: int) -> int:
    """A descriptor of a regular file, or of what a link leads to, such as /dev/stdout.

    Root follows links in its own directories only. Raises OSError.
    """
    flags |= os.O_CLOEXEC | os.O_NONBLOCK
    directory = path.parent.stat()
    if os.geteuid() != 0 or directory.st_uid == 0:
        descriptor = _open(path, flags)
        if not path.is_symlink():
            _insist_on_a_file(descriptor, path)
        os.set_blocking(descriptor, True)  # lines for a slow screen wait, as on the screen itself
        return descriptor
    descriptor = _open(path, flags | os.O_NOFOLLOW)
    there = _insist_on_a_file(descriptor, path)
    if there.st_uid == 0 and there.st_nlink == 1:  # made by us, just now or before
        os.fchown(descriptor, directory.st_uid, directory.st_gid)
    return descriptor


def _open(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags, MODE)
    except OSError as error:
        if error.errno in WHY:
            raise OSError(error.errno, WHY[error.errno], str(path)) from None
        raise


def _insist_on_a_file(descriptor: int, path: Path) -> os.stat_result:
    there = os.fstat(descriptor)
    if not stat.S_ISREG(there.st_mode):
        os.close(descriptor)
        raise OSError(errno.ENXIO, WHY[errno.ENXIO], str(path))
    return there
