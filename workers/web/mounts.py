"""Which of the conf's routes answers a path. Pure.

A prefix matches at a segment boundary, case matters, and the longest one wins. `/test` and
`/test/` both answer `/test/...`; of the bare path `/test` the first answers it as its `/`, the
second redirects to `/test/`. Directories are looked at first, in the order of the conf: a
physical file has priority. A path below an app's prefix is that app's alone; it does not fall
back to an app with a shorter prefix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skitai.app import Application
from skitai.routing import Route
from skitaid.workers.settings import AppRoute, ClusterRoute, StaticRoute
from skitaid.workers.settings import Route as ConfRoute


@dataclass(frozen=True, slots=True)
class Found:
    """A handler, and the values of its rule's parameters."""

    app: Application
    route: Route
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Moved:
    """The bare path of a mount that is like a directory: go to `path`."""

    path: str


@dataclass(frozen=True, slots=True)
class Proxied:
    """The path belongs to a cluster."""

    cluster: str


@dataclass(frozen=True, slots=True)
class Below:
    """A directory that may have a file for the path; `rest` is the path within it."""

    directory: str
    rest: str  # starts with "/", or is "" for the bare prefix


@dataclass(frozen=True, slots=True)
class _Mount:
    base: str  # without trailing slash: "" for the root
    is_directory_like: bool
    app: Application | None
    cluster: str


class Mounts:
    """The routes of one server with the apps they name."""

    def __init__(self, routes: Sequence[ConfRoute], apps: Mapping[str, Application]) -> None:
        """apps: by the file of their route."""
        directories: dict[str, list[str]] = {}
        mounts: list[_Mount] = []
        for route in routes:
            base = route.prefix.rstrip("/")
            match route:
                case StaticRoute():
                    directories.setdefault(base, []).append(route.directory)
                case AppRoute():
                    is_directory_like = len(route.prefix) > 1 and route.prefix.endswith("/")
                    mounts.append(_Mount(base, is_directory_like, apps[route.file], ""))
                case ClusterRoute():
                    mounts.append(_Mount(base, False, None, route.cluster))
        self._mounts = sorted(mounts, key=lambda mount: -len(mount.base))
        self._directories = sorted(directories.items(), key=lambda item: -len(item[0]))
        self._exact: dict[str, Found] = {}
        self._exact = self._find_exact()

    def _find_exact(self) -> dict[str, Found]:
        """The paths without parameters, found beforehand, since most requests are for them."""
        paths = [
            mount.base + route.rule
            for mount in self._mounts
            if mount.app is not None
            for route in mount.app.router.routes()
            if route.pattern is None
        ]
        found = ((path, self.find(path)) for path in paths)
        return {path: each for path, each in found if isinstance(each, Found)}

    @property
    def has_directories(self) -> bool:
        """Whether any path may be a file."""
        return bool(self._directories)

    def below(self, path: str) -> list[Below]:
        """The directories to look into for a file, in order."""
        for base, directories in self._directories:
            if _is_below(path, base):
                rest = path[len(base) :]
                return [Below(directory, rest) for directory in directories]
        return []

    def find(self, path: str) -> Found | Moved | Proxied | None:
        """Who answers a path, when no file does."""
        found = self._exact.get(path)
        return self._search(path) if found is None else found

    def _search(self, path: str) -> Found | Moved | Proxied | None:
        for mount in self._mounts:
            if not _is_below(path, mount.base):
                continue
            if mount.app is None:
                return Proxied(mount.cluster)
            rest = path[len(mount.base) :]
            if not rest and mount.is_directory_like:
                return Moved(mount.base + "/")
            match = mount.app.router.match(rest or "/")
            return None if match is None else Found(mount.app, *match)
        return None


def _is_below(path: str, base: str) -> bool:
    return path.startswith(base) and (len(path) == len(base) or path[len(base)] == "/")
