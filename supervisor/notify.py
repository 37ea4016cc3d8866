"""Readiness as a line on a descriptor: who started us waits for it, or for its end of file."""

from __future__ import annotations

import logging
import os

log = logging.getLogger(__name__)


class Notify:
    """A descriptor that gets one line and is closed. Without a descriptor nobody waits."""

    def __init__(self, descriptor: int | None) -> None:
        """Raises `OSError` if the descriptor is not an open one."""
        if descriptor is not None:
            os.set_inheritable(descriptor, False)
        self._descriptor = descriptor

    def ready(self, line: str) -> None:
        """Say so once and close."""
        if self._descriptor is None:
            return
        try:
            os.write(self._descriptor, f"{line}\n".encode())
        except BrokenPipeError:
            log.info("nobody waits for the start any more; the server runs all the same")
        self.close()

    def close(self) -> None:
        """Nothing will be said. Closing twice is nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
