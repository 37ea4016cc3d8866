"""What a master has open for its workers before it forks them."""

from __future__ import annotations

import socket
import ssl

import msgspec


class Doors(msgspec.Struct, frozen=True):
    """The same for all workers of one generation.

    listener: bound, shared with the other workers; it listens when one is ready, if not before.
    redirect: likewise, for plain HTTP that is sent to https.
    tls: None for plain HTTP. Made before the fork, so that all workers have the same keys for
        session tickets: a client resumes at whichever accepts it. Another generation has others.
    """

    listener: socket.socket
    redirect: socket.socket | None = None
    tls: ssl.SSLContext | None = None

    @property
    def listeners(self) -> list[socket.socket]:
        """All of them."""
        return [self.listener, *([] if self.redirect is None else [self.redirect])]
