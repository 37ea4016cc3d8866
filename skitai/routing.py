"""Rules to routes: what a rule matches, what its handler accepts, what URL it makes. Pure.

A path arrives percent-decoded and without its mount prefix. The book is written while an app is
imported and only read afterwards, so threads share it without a lock. Who answers a path is in
`skitai.table`.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from skitai.converters import CONVERTERS, Converter
from skitai.errors import RouteError

Handler = Callable[..., Any]

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})  # of a route that names none

# Handlers take *args and **kwargs of their own, so a signature is kept as three small facts.
_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Z]+")  # a token, RFC 9110 section 9.1
_PARAMETER = re.compile(r"<(?:(?P<type>[^<>:]*):)?(?P<name>[^<>:]*)>")


class Signature(msgspec.Struct, frozen=True):
    """What a handler accepts after `was`."""

    required: tuple[str, ...]  # in order
    accepted: frozenset[str]
    takes_any: bool  # has **kwargs
    taken: frozenset[str]  # the name under which `was` is passed: no caller may give it
    positional: tuple[str, ...]  # in order, for RPC
    takes_many: bool  # has *args

    def complaint(self, given: Collection[str]) -> str | None:
        """One sentence about a missing or unexpected argument; None when all is well."""
        for name in self.required:
            if name not in given:
                return f"the argument {name} is missing"
        for name in self.taken if self.takes_any else given:
            if name in given and name not in self.accepted:
                return f"the argument {name} is not expected"
        return None

    def positional_complaint(self, count: int, named: Collection[str]) -> str | None:
        """The same for `count` positional arguments and some named ones, as RPC sends them."""
        if count > len(self.positional) and not self.takes_many:
            return f"{count} arguments were given, at most {len(self.positional)} are expected"
        taken = self.positional[:count]
        for name in taken:
            if name in named:
                return f"the argument {name} was given twice"
        return self.complaint([*taken, *named])


class Route(msgspec.Struct, frozen=True):
    """One rule and its handler."""

    rule: str
    handler: Handler
    is_async: bool
    signature: Signature
    pattern: re.Pattern[str] | None  # None for an exact rule
    converters: tuple[tuple[str, Converter], ...]
    methods: frozenset[str]
    timeout: float | None = None  # see `Request.timeout`

    def match(self, path: str) -> dict[str, Any] | None:
        """The values of the rule's parameters, or None."""
        if self.pattern is None:
            return {} if path == self.rule else None
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        try:
            return {name: each.convert(found[name]) for name, each in self.converters}
        except ValueError:
            return None  # thousands of digits, which int() refuses


class Router:
    """The rules of one app or package, in the order in which they were registered."""

    __slots__ = ("_routes",)

    def __init__(self) -> None:
        self._routes: list[Route] = []

    def add(
        self,
        rule: str,
        handler: Handler,
        methods: Collection[str] | None = None,
        timeout: float | None = None,
    ) -> Route:
        """Register a rule. Raises RouteError for a rule that cannot match or is taken."""
        route = compile_rule(rule, handler, methods, timeout)
        for other in self._routes:
            if other.rule == rule and other.methods & route.methods:
                raise RouteError(
                    f'@app.route("{rule}") on {name_of(handler)}: '
                    f"{name_of(other.handler)} has that rule"
                )
        self._routes.append(route)
        return route

    def routes(self) -> list[Route]:
        """All of them."""
        return list(self._routes)


def compile_rule(
    rule: str,
    handler: Handler,
    methods: Collection[str] | None = None,
    timeout: float | None = None,
) -> Route:
    """Make a route of a rule. Raises RouteError."""
    where = f'@app.route("{rule}") on {name_of(handler)}'
    if not rule.startswith("/"):
        raise RouteError(f'{where}: a rule starts with "/"')
    pattern, converters = _compile_parameters(rule, where) if "<" in rule else (None, ())
    signature = read_signature(handler, where)
    for name, _ in converters:
        if name not in signature.accepted and not signature.takes_any:
            raise RouteError(f"{where}: the handler has no argument {name}")
    return Route(
        rule=rule,
        handler=handler,
        is_async=inspect.iscoroutinefunction(handler),
        signature=signature,
        pattern=pattern,
        converters=converters,
        methods=METHODS if methods is None else _checked_methods(methods, where),
        timeout=None if timeout is None else _checked_timeout(timeout, where),
    )


def _checked_timeout(timeout: float, where: str) -> float:
    is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not (is_number and 0.0 <= timeout < math.inf):
        raise RouteError(f"{where}: timeout={timeout!r} is not a number of seconds from 0 on")
    return float(timeout)


def _checked_methods(methods: Collection[str], where: str) -> frozenset[str]:
    if isinstance(methods, str) or not methods:
        raise RouteError(f'{where}: methods is a list, such as ["GET", "POST"]')
    upper = frozenset(each.upper() for each in methods)
    for each in upper:
        if not _METHOD.fullmatch(each):
            raise RouteError(f"{where}: {each!r} is no method")
    return upper | {"HEAD"} if "GET" in upper else upper


def _compile_parameters(
    rule: str, where: str
) -> tuple[re.Pattern[str], tuple[tuple[str, Converter], ...]]:
    pattern: list[str] = []
    converters: dict[str, Converter] = {}
    end = 0
    for found in _PARAMETER.finditer(rule):
        pattern.append(re.escape(rule[end : found.start()]))
        end = found.end()
        kind, name = found["type"] or "string", found["name"]
        if kind not in CONVERTERS:
            raise RouteError(
                f"{where}: unknown type {kind}; there are {', '.join(sorted(CONVERTERS))}"
            )
        if not name.isidentifier():
            raise RouteError(f'{where}: "{name}" cannot be the name of an argument')
        if name in converters:
            raise RouteError(f"{where}: the parameter {name} is there twice")
        converters[name] = CONVERTERS[kind]
        pattern.append(f"(?P<{name}>{CONVERTERS[kind].pattern})")
    rest = rule[end:]
    if "<" in rest or ">" in rest:
        raise RouteError(f"{where}: a parameter is written <name> or <type:name>")
    pattern.append(re.escape(rest))
    return re.compile("".join(pattern), re.DOTALL), tuple(converters.items())


def path_of(route: Route, values: Mapping[str, Any]) -> str:
    """The percent-encoded path at which a route answers with these values of its parameters.

    Raises RouteError for a value that is missing, or that would not come back as it is.
    """
    converters = dict(route.converters)
    missing = [name for name in converters if name not in values]
    if missing:
        raise RouteError(f"{route.rule}: a value for {', '.join(missing)} is missing")
    for name, converter in converters.items():
        if not re.fullmatch(converter.pattern, str(values[name]), re.DOTALL):
            raise RouteError(f"{route.rule}: {values[name]!r} cannot be the value of {name}")
    path = _PARAMETER.sub(lambda found: str(values[found["name"]]), route.rule)
    return quote(path if route.pattern is not None else route.rule)


def name_of(handler: Handler) -> str:
    """module.function, for messages; callable objects have no name of their own."""
    name = getattr(handler, "__qualname__", None) or repr(handler)
    return f"{handler.__module__}.{name}"


def read_signature(handler: Handler, where: str) -> Signature:
    """What a handler accepts after its first argument, `was`. Raises RouteError without one."""
    parameters = list(inspect.signature(handler).parameters.values())
    ordered = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if parameters and parameters[0].kind is inspect.Parameter.VAR_POSITIONAL:
        raise RouteError(
            f"{where}: nobody sees what stands behind its *{parameters[0].name}; a decorator"
            " of your own wants functools.wraps"
        )
    if not parameters or parameters[0].kind not in ordered:
        raise RouteError(f"{where}: a handler takes was as its first argument")
    rest = parameters[1:]
    named = [each for each in rest if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    positional = [each for each in named if each.kind in ordered]
    nameless = [each.name for each in rest if each.kind is each.POSITIONAL_ONLY]
    if nameless:
        raise RouteError(f"{where}: arguments come by name; write / after was or not at all")
    was = parameters[0]
    return Signature(
        required=tuple(each.name for each in named if each.default is each.empty),
        accepted=frozenset(each.name for each in named),
        takes_any=any(each.kind is each.VAR_KEYWORD for each in rest),
        taken=frozenset() if was.kind is was.POSITIONAL_ONLY else frozenset((was.name,)),
        positional=tuple(each.name for each in positional),
        takes_many=any(each.kind is each.VAR_POSITIONAL for each in rest),
    )
