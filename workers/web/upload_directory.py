"""The directory of one worker's temporary files, and what is left of those of dead workers.

Made when the first file comes, with a name of its own, below a directory that may be everybody's.
While its worker lives the directory is locked (flock), so another one can tell whether it may
be removed; the kernel unlocks it, however the worker ends. Its files are for nobody else to read.
Files are made on any thread.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import BinaryIO

PREFIX = "skitai-uploads-"

log = logging.getLogger(__name__)


class UploadDirectory:
    """One worker's."""

    def __init__(self, parent: str) -> None:
        """parent: an existing directory; it is not touched before the first file."""
        self._parent = parent
        self._making = threading.Lock()
        self._path = ""  # not yet made
        self._descriptor = -1  # holds the lock

    def sweep(self) -> None:
        """Remove what workers have left that were killed."""
        for path in Path(self._parent).glob(f"{PREFIX}*"):
            descriptor = _lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if descriptor >= 0:
                _remove(path)
                os.close(descriptor)

    def new_file(self) -> tuple[BinaryIO, str]:
        """An empty file for writing, and its path. Raises OSError."""
        with self._making:
            if not self._path:
                self._make()
        descriptor, path = tempfile.mkstemp(dir=self._path)  # with mode 0600
        return os.fdopen(descriptor, "wb"), path

    def remove(self) -> None:
        """It and all that is in it. For the end of the worker."""
        if self._path:
            _remove(Path(self._path))
            os.close(self._descriptor)
            self._path = ""

    def _make(self) -> None:
        while True:
            path = tempfile.mkdtemp(prefix=PREFIX, dir=self._parent)  # with mode 0700
            descriptor = _lock(Path(path), fcntl.LOCK_EX)
            if descriptor >= 0:
                if os.path.exists(path):
                    break
                os.close(descriptor)  # a sibling has swept it away before it was locked
        self._path, self._descriptor = path, descriptor


def _lock(path: Path, how: int) -> int:
    """A descriptor that holds the lock of a directory of ours.

    -1 if somebody else holds it, or has made the directory, or it has gone.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return -1
    try:
        if os.fstat(descriptor).st_uid == os.geteuid():
            fcntl.flock(descriptor, how)
            return descriptor
    except BlockingIOError:
        pass
    os.close(descriptor)
    return -1


def _remove(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except OSError as error:
        log.warning("%s cannot be removed: %s", path, error)
