"""Unix sockets in deep directories: the kernel takes 107 bytes of path, a tree may have more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def short_path(path: str) -> Iterator[str]:
    """A short name of `path`, through an open descriptor of its directory, while in the block."""
    directory, name = os.path.split(path)
    descriptor = os.open(directory or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)
