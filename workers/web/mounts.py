"""Which of the conf's routes answers a path. Pure.

A prefix matches at a segment boundary, case matters, and the longest one wins. `/test` and
`/test/` both answer `/test/...`; of the bare path `/test` the first answers it as its `/`, the
second redirects to `/test/`. Directories are looked at first, in the order of the conf: a
physical file has priority. Of several apps and clusters with one prefix the first that has the
path answers it. A path below a prefix does not fall back to a shorter one.

A path that no rule has, but would with a slash at its end, or without the one it has, is moved
there.

The loop replaces an app that was imported anew while handler threads look up RPC methods: each
mount and each entry found beforehand is whole by itself, the old one or the new one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import field

from skitai.app import Application
from skitai.errors import RpcFault
from skitai.mounting import is_below, is_directory_like, other_path
from skitai.routing import METHODS, Route, name_of
from skitai.table import Found, Table
from skitai.wire.jsonrpc import INTERNAL_ERROR
from skitaid.workers.settings import AppRoute, ClusterRoute, StaticRoute
from skitaid.workers.settings import Route as ConfRoute


class Moved(msgspec.Struct, frozen=True):
    """It answers at another path: that of a mount that is like a directory, or of a rule."""

    path: str


class Missed(msgspec.Struct, frozen=True):
    """The path belongs to an app that has no rule for it, or none for the method."""

    app: Application
    table: Table
    base: str
    methods: frozenset[str]  # that it has rules for; none: not for any


class Failed(msgspec.Struct, frozen=True):
    """The path belongs to an app that was changed and does not come up."""

    sentence: str  # where, and what is wrong
    page: bytes  # the same with the traceback


class Proxied(msgspec.Struct, frozen=True):
    """The path belongs to a cluster.

    base: the route's prefix, without trailing slash. series: where its requests are counted.
    """

    cluster: str
    base: str
    series: Any = None


class Below(msgspec.Struct, frozen=True):
    """A directory that may have a file for the path; `rest` is the path within it."""

    directory: str
    rest: str  # starts with "/", or is "" for the bare prefix


class _Mount(msgspec.Struct, frozen=True):
    base: str  # without trailing slash: "" for the root
    is_directory_like: bool
    proxied: Proxied | None = None
    file: str = ""  # of the app
    served: tuple[Application, Table] | None = None  # that app and its rules
    series_of: Mapping[int, Any] = field(default_factory=dict)  # of rules, by the id of their route
    failed: Failed | None = None  # when the file has another app now, which does not come up


Counting = Callable[[str, str, str, str], Any]  # kind, methods, rule, handler

Answer = Found | Moved | Missed | Failed | Proxied | None


class Mounts:
    """The routes of one server with the apps they name. clusters: those that have routes."""

    def __init__(
        self,
        routes: Sequence[ConfRoute],
        apps: Mapping[str, Application],
        counting: Counting = lambda *name: None,
    ) -> None:
        """apps: by the file of their route. counting: gives the series of a rule, by its name."""
        self._counting = counting
        directories: dict[str, list[str]] = {}
        mounts: list[_Mount] = []
        for route in routes:
            base = route.prefix.rstrip("/")
            match route:
                case StaticRoute():
                    directories.setdefault(base, []).append(route.directory)
                case AppRoute():
                    mounts.append(_Mount(base, is_directory_like(route.prefix), file=route.file))
                case ClusterRoute():
                    series = counting("proxy", "", f"{route.prefix} = @{route.cluster}", "")
                    mounts.append(_Mount(base, False, Proxied(route.cluster, base, series)))
        self._mounts = sorted(mounts, key=lambda mount: -len(mount.base))
        proxied = [mount.proxied for mount in mounts if mount.proxied is not None]
        self.clusters = {each.cluster for each in proxied}
        # Prefixes that clusters have, and apps may have too.
        self._shared = {each.base for each in proxied}
        self._directories = sorted(directories.items(), key=lambda item: -len(item[0]))
        for file, app in apps.items():
            self._serve(file, app)
        self._exact = self._find_exact()

    def replace(self, file: str, app: Application) -> None:
        """The app of that file was imported anew."""
        self._serve(file, app)
        self._exact = self._find_exact()

    def fail(self, file: str, failed: Failed) -> None:
        """The app of that file was changed, and this is what its requests get."""
        self._set(file, failed=failed)
        self._exact = self._find_exact()

    def _serve(self, file: str, app: Application) -> None:
        table = Table(app)
        self._mounts = [
            msgspec.structs.replace(
                mount,
                served=(app, table),
                failed=None,
                series_of=self._series_of(mount.base, table),
            )
            if mount.file == file
            else mount
            for mount in self._mounts
        ]

    def _series_of(self, base: str, table: Table) -> dict[int, Any]:
        routes = [entry.route for entry in table.entries()]
        return {id(each): self._counting("app", *_names(base, each)) for each in routes}

    def _set(self, file: str, **values: Any) -> None:
        self._mounts = [
            msgspec.structs.replace(mount, **values) if mount.file == file else mount
            for mount in self._mounts
        ]

    def _find_exact(self) -> dict[str, Found]:
        """The paths without parameters, found beforehand, since most requests are for them."""
        places = [
            (mount.base + entry.route.rule, next(iter(entry.route.methods)))
            for mount in self._mounts
            if mount.served is not None
            for entry in mount.served[1].exact()
        ]
        found = ((path, self._search(path, method)) for path, method in places)
        return {path: each for path, each in found if isinstance(each, Found)}

    @property
    def has_directories(self) -> bool:
        """Whether any path may be a file."""
        return bool(self._directories)

    def proxied(self, path: str, method: str) -> Proxied | None:
        """The cluster that answers a path, when no file does; None if it is not one."""
        for mount in self._mounts:
            if is_below(path, mount.base):
                if mount.proxied is not None:
                    return mount.proxied
                if mount.base not in self._shared:
                    return None
                found = self.find(path, method)
                return found if isinstance(found, Proxied) else None
        return None

    def below(self, path: str) -> list[Below]:
        """The directories to look into for a file, in order."""
        for base, directories in self._directories:
            if is_below(path, base):
                rest = path[len(base) :]
                return [Below(directory, rest) for directory in directories]
        return []

    def exact_paths(self) -> list[str]:
        """Those of the rules without parameters."""
        return list(self._exact)

    def failure_of(self, file: str) -> str:
        """Why the app of that file does not come up; "" if it does."""
        failed = (mount.failed for mount in self._mounts if mount.file == file)
        return next((each.sentence for each in failed if each is not None), "")

    def is_in_devel(self, path: str) -> bool:
        """Whether an app that a path may belong to is in development mode."""
        longest = next((each.base for each in self._mounts if is_below(path, each.base)), None)
        there = (each.served for each in self._mounts if each.base == longest)
        return any(served is not None and served[0].is_devel() for served in there)

    def find(self, path: str, method: str) -> Answer:
        """Who answers a path, when no file does."""
        found = self._exact.get(path)
        if found is not None and method in found.route.methods:
            return found
        return self._search(path, method)

    def _search(self, path: str, method: str) -> Answer:
        base: str | None = None
        missed: Missed | None = None
        for mount in self._mounts:
            if not is_below(path, mount.base) or base not in (None, mount.base):
                continue
            base = mount.base
            if mount.failed is not None:
                return mount.failed
            if mount.served is None:
                return mount.proxied
            rest = path[len(base) :]
            if not rest and mount.is_directory_like:
                return Moved(base + "/")
            app, table = mount.served
            match = table.match(rest or "/", method)
            if isinstance(match, tuple):
                entry, params = match
                series = mount.series_of.get(id(entry.route))
                return Found(app, entry.route, params, entry.levels, base, table, series)
            if missed is None or (match and not missed.methods):
                missed = Missed(app, table, base, match)
        if missed is not None and not missed.methods:
            return self._moved(path, method, missed) or missed
        return missed

    def _moved(self, path: str, method: str, missed: Missed) -> Moved | None:
        other = other_path(path)
        rest = other[len(missed.base) :]
        if rest and isinstance(missed.table.match(rest, method), tuple):
            return Moved(other)
        return None


def _names(base: str, route: Route) -> tuple[str, str, str]:
    methods = "" if route.methods == METHODS else ",".join(sorted(route.methods))
    return methods, base + route.rule, name_of(route.handler)


class Methods:
    """The handlers as RPC reaches them: `test.hello.world` is the path /test/hello/world."""

    def __init__(self, mounts: Mounts) -> None:
        self._mounts = mounts

    def find(self, name: str) -> Found | None:
        """See `skitai.rpc.Methods`. Raises RpcFault if the app of that method has failed."""
        found = self._find(name)
        if isinstance(found, Failed):
            raise RpcFault(INTERNAL_ERROR, found.sentence)
        return found if isinstance(found, Found) else None

    def names(self) -> list[str]:
        """See `skitai.rpc.Methods`."""
        names = {path.strip("/").replace("/", ".") for path in self._mounts.exact_paths()}
        return sorted(name for name in names if isinstance(self._find(name), Found))

    def _find(self, name: str) -> Answer:
        return self._mounts.find("/" + name.replace(".", "/"), "POST") if name else None
