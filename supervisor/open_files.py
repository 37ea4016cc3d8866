"""How many files and sockets this process may have open."""

from __future__ import annotations

import resource


def raise_limit() -> None:
    """To all that we are allowed: each connection of a worker is one, and workers inherit it.

    The usual 1024 is for programs that use select(2), which is not to be found here.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
