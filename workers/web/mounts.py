"""Which of the conf's routes answers a path. Pure.

A prefix matches at a segment boundary, case matters, and the longest one wins. `/test` and
`/test/` both answer `/test/...`; of the bare path `/test` the first answers it as its `/`, the
second redirects to `/test/`. Directories are looked at first, in the order of the conf: a
physical file has priority. Of several apps and clusters with one prefix the first that has the
path answers it. A path below a prefix does not fall back to a shorter one.

A path that no rule has, but would with a slash at its end, or without the one it has, is moved
there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from skitai.app import Application
from skitai.table import Found, Table
from skitaid.workers.settings import AppRoute, ClusterRoute, StaticRoute
from skitaid.workers.settings import Route as ConfRoute


@dataclass(frozen=True, slots=True)
class Moved:
    """It answers at another path: that of a mount that is like a directory, or of a rule."""

    path: str


@dataclass(frozen=True, slots=True)
class Missed:
    """The path belongs to an app that has no rule for it, or none for the method."""

    app: Application
    table: Table
    base: str
    methods: frozenset[str]  # that it has rules for; none: not for any


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
    file: str  # of the app
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
                    app = apps[route.file]
                    mounts.append(_Mount(base, is_directory_like, app, route.file, ""))
                case ClusterRoute():
                    mounts.append(_Mount(base, False, None, "", route.cluster))
        self._mounts = sorted(mounts, key=lambda mount: -len(mount.base))
        self._directories = sorted(directories.items(), key=lambda item: -len(item[0]))
        self._read_tables()

    def _read_tables(self) -> None:
        self._tables = {
            mount.file: Table(mount.app) for mount in self._mounts if mount.app is not None
        }
        self._exact: dict[str, Found] = {}
        self._exact = self._find_exact()

    def _find_exact(self) -> dict[str, Found]:
        """The paths without parameters, found beforehand, since most requests are for them."""
        places = [
            (mount.base + entry.route.rule, next(iter(entry.route.methods)))
            for mount in self._mounts
            if mount.app is not None
            for entry in self._tables[mount.file].exact()
        ]
        found = ((path, self._search(path, method)) for path, method in places)
        return {path: each for path, each in found if isinstance(each, Found)}

    def replace(self, file: str, app: Application) -> None:
        """The app of that file was imported anew."""
        self._mounts = [
            replace(mount, app=app) if mount.file == file else mount for mount in self._mounts
        ]
        self._read_tables()

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

    def exact_paths(self) -> list[str]:
        """Those of the rules without parameters."""
        return list(self._exact)

    def file_of(self, path: str) -> str:
        """The file of the app that a path belongs to, "" if it is none's."""
        for mount in self._mounts:
            if _is_below(path, mount.base):
                return mount.file
        return ""

    def find(self, path: str, method: str) -> Found | Moved | Missed | Proxied | None:
        """Who answers a path, when no file does."""
        found = self._exact.get(path)
        if found is not None and method in found.route.methods:
            return found
        return self._search(path, method)

    def _search(self, path: str, method: str) -> Found | Moved | Missed | Proxied | None:
        base: str | None = None
        missed: Missed | None = None
        for mount in self._mounts:
            if not _is_below(path, mount.base) or base not in (None, mount.base):
                continue
            base = mount.base
            if mount.app is None:
                return Proxied(mount.cluster)
            rest = path[len(base) :]
            if not rest and mount.is_directory_like:
                return Moved(base + "/")
            table = self._tables[mount.file]
            match = table.match(rest or "/", method)
            if isinstance(match, tuple):
                entry, params = match
                return Found(mount.app, entry.route, params, entry.levels, base, table)
            if missed is None or (match and not missed.methods):
                missed = Missed(mount.app, table, base, match)
        if missed is not None and not missed.methods:
            return self._moved(path, method, missed) or missed
        return missed

    def _moved(self, path: str, method: str, missed: Missed) -> Moved | None:
        other = path[:-1] if path.endswith("/") else path + "/"
        rest = other[len(missed.base) :]
        if rest and isinstance(missed.table.match(rest, method), tuple):
            return Moved(other)
        return None


class Methods:
    """The handlers as RPC reaches them: `test.hello.world` is the path /test/hello/world."""

    def __init__(self, mounts: Mounts) -> None:
        self._mounts = mounts

    def find(self, name: str) -> Found | None:
        """See `skitai.rpc.Methods`."""
        found = self._mounts.find("/" + name.replace(".", "/"), "POST") if name else None
        return found if isinstance(found, Found) else None

    def names(self) -> list[str]:
        """See `skitai.rpc.Methods`."""
        return sorted(path.strip("/").replace("/", ".") for path in self._mounts.exact_paths())


def _is_below(path: str, base: str) -> bool:
    return path.startswith(base) and (len(path) == len(base) or path[len(base)] == "/")
