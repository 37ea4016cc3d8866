"""Reads servers-enabled: which confs are there, whether they have changed, what is wrong with them.

The fleet takes nothing from a conf; it only asks whether its master could. Which files decide is
found by following links hop by hop, so that a change of what a link leads to is noticed too.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from skitaid.conf import load_server
from skitaid.errors import ConfError
from skitaid.fleet.events import ConfSeen
from skitaid.paths import Paths

HOPS_MAX = 40  # links that lead to links, as many as the kernel follows


def look(paths: Paths) -> tuple[ConfSeen, ...]:
    """All enabled confs as they are now, by name."""
    return tuple(_look_at(paths, name) for name in paths.enabled())


def digest(paths: Paths, name: str) -> str:
    """What stands for the content of an enabled conf; "" if it cannot be read."""
    try:
        return hashlib.sha256(_conf(paths, name).read_bytes()).hexdigest()
    except OSError:
        return ""


def what_to_watch(paths: Paths) -> dict[Path, frozenset[str] | None]:
    """The directories whose changes matter, each with the names that do; None is all names."""
    watched: dict[Path, frozenset[str] | None] = {
        paths.etc: frozenset({paths.servers_enabled.name})
    }
    for name in paths.enabled():
        for file in _hops(_conf(paths, name)):
            known = watched.get(file.parent) or frozenset()
            watched[file.parent] = known | {file.name}
    watched[paths.servers_enabled] = None
    return watched


def _look_at(paths: Paths, name: str) -> ConfSeen:
    seen = digest(paths, name)  # before it is read: a change in between is then seen again
    try:
        load_server(_conf(paths, name), paths.run_dir(name))
    except ConfError as error:
        return ConfSeen(name, seen, str(error))
    return ConfSeen(name, seen)


def _conf(paths: Paths, name: str) -> Path:
    return paths.servers_enabled / f"{name}.conf"


def _hops(file: Path) -> Iterator[Path]:
    """The file, what it links to, what that links to, and so on."""
    for _ in range(HOPS_MAX):
        yield file
        try:
            target = os.readlink(file)
        except OSError:  # no link, or gone
            return
        file = Path(os.path.abspath(file.parent / target))
