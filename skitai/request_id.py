"""The name of a request in the logs of all servers it passes through."""

from __future__ import annotations

import itertools
import os
import re
import secrets

GIVEN_MAX = 64  # characters of an id that a client sends; a UUID has 36

_GIVEN = re.compile(rb"[A-Za-z0-9_.:/+=@-]{1,%d}" % GIVEN_MAX)  # it is written to logs as it is
_next = itertools.count(1).__next__
_prefix = secrets.token_hex(3).encode()


def made() -> bytes:
    """A new one: the process, and a number in it."""
    return b"%b-%d" % (_prefix, _next())


def given(value: bytes) -> bytes | None:
    """One that came with a request; None if it is not plain and short."""
    return value if _GIVEN.fullmatch(value) else None


def _renew() -> None:
    """A forked process must not repeat the ids of its parent and its siblings."""
    global _prefix
    _prefix = secrets.token_hex(3).encode()


os.register_at_fork(after_in_child=_renew)
