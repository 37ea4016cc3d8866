"""The read end of a pipe that somebody holds open as long as he wants this server to live."""

from __future__ import annotations

import os


class Lifeline:
    """End of file means that the holder is gone, in whatever way."""

    def __init__(self, descriptor: int) -> None:
        """Raises `OSError` if the descriptor is not an open one."""
        os.set_inheritable(descriptor, False)
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor

    def fileno(self) -> int:
        """Readable when it is cut (or something is written, which means nothing)."""
        return self._descriptor

    def is_cut(self) -> bool:
        """Whether the holder is gone; call when readable."""
        try:
            return not os.read(self._descriptor, 64)
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Let go."""
        os.close(self._descriptor)
