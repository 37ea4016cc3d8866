"""Who answers a path: the rules of an app and of all its packages, in one table. Pure.

Exact rules come before those with parameters; among equals the app's own come first, then its
packages' in the order in which they were added, and of one router the first registered.
"""

from __future__ import annotations

from typing import Any

import msgspec

from skitai.app import Application
from skitai.errors import HttpError
from skitai.hooks import Hooks
from skitai.package import Package
from skitai.routing import METHODS, Route, Signature, name_of


class Found(msgspec.Struct, frozen=True):
    """A handler for a request, and what is known of it."""

    app: Application
    route: Route
    params: dict[str, Any]  # the values of the rule's parameters
    levels: tuple[Hooks, ...]  # the hooks around it, outermost first; those without any left out
    base: str  # where the app is mounted, without trailing slash
    table: Table
    series: Any = None  # where the worker counts its requests; for `Request.series`

    @property
    def name(self) -> str:
        """Of the handler, for messages."""
        return name_of(self.route.handler)


class Entry(msgspec.Struct, frozen=True):
    """A route, and the hooks around it."""

    route: Route
    levels: tuple[Hooks, ...]


_NOTHING = Signature((), frozenset(), True, frozenset(), (), True)


class Table:
    """The rules of one app as they are now."""

    def __init__(self, app: Application) -> None:
        self._exact: dict[str, list[Entry]] = {}
        self._patterns: list[Entry] = []
        self._app = app
        self._add(app, _with(app, ()))

    def _add(self, package: Package, levels: tuple[Hooks, ...]) -> None:
        for route in package.router.routes():
            entry = Entry(route, levels)
            if route.pattern is None:
                self._exact.setdefault(route.rule, []).append(entry)
            else:
                self._patterns.append(entry)
        for each in package.packages:
            self._add(each, _with(each, levels))

    def match(self, path: str, method: str) -> tuple[Entry, dict[str, Any]] | frozenset[str]:
        """The entry for a path below the mount, with the values of its parameters.

        If there is none, the methods for which there is one.
        """
        others: frozenset[str] = frozenset()
        for entry in self._exact.get(path, ()):
            if method in entry.route.methods:
                return entry, {}
            others |= entry.route.methods
        for entry in self._patterns:
            values = entry.route.match(path)
            if values is not None:
                if method in entry.route.methods:
                    return entry, values
                others |= entry.route.methods
        return others

    def missing(self, error: HttpError, base: str) -> Found | None:
        """For a path that no rule answers: the app's own page for that, if it has one."""
        hooks = self._app.hooks
        if hooks.for_error(error) is None:
            return None

        def raise_error(was: Any) -> None:
            raise error

        only_errors = Hooks()
        only_errors.errors = hooks.errors
        route = Route("", raise_error, False, _NOTHING, None, (), METHODS)
        return Found(self._app, route, {}, (only_errors,), base, self)

    def exact(self) -> list[Entry]:
        """The first entry of each rule without parameters."""
        return [entries[0] for entries in self._exact.values()]

    def entries(self) -> list[Entry]:
        """All, in the order in which they are tried."""
        return [*(each for entries in self._exact.values() for each in entries), *self._patterns]

    def named(self, name: str) -> list[Route]:
        """The routes of the handler that is called so: "morning", or "greetings.morning"."""
        routes = [entry.route for entry in self.entries()]
        return [each for each in routes if name in (_short_name(each), name_of(each.handler))]


def _short_name(route: Route) -> str:
    return getattr(route.handler, "__name__", "")


def _with(package: Package, levels: tuple[Hooks, ...]) -> tuple[Hooks, ...]:
    return (*levels, package.hooks) if package.hooks else levels
