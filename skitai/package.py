"""A package: rules and hooks in a module of their own, joined to an app. Runs where the app does.

Decorators register, nothing is called at import. Its rules live beside those of the app, under
the same base; its hooks are called inside those of the app.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Iterator
from inspect import iscoroutinefunction, signature
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from skitai.errors import RouteError, WrongUse
from skitai.hooks import Hooks
from skitai.routing import Handler, Router, name_of

if TYPE_CHECKING:
    from skitai.wasc import Wasc

F = TypeVar("F", bound=Callable[..., Any])


class Package:
    """A part of an app; its module has it as its global `package`.

        package = ssgi.Package()

        @package.route("/greeting/morning")
        def morning(was):
            return "Good Morning"

    The app joins it when it starts: `app.add_package(greetings)`.
    """

    def __init__(self) -> None:
        self.router = Router()
        self.hooks = Hooks()
        self.packages: list[Package] = []
        self.module: ModuleType | None = None  # the one it was found in
        self.loaded = time.time()  # when its module was imported
        self._startup: list[Callable[..., Any]] = []
        self._onreload: list[Callable[..., Any]] = []
        self._shutdown: list[Callable[..., Any]] = []
        self._wasc: Wasc | None = None  # from start to end
        self._early: list[Package] | None = None  # those added before the first start

    # --- rules ---

    def route(
        self,
        rule: str,
        methods: Collection[str] | None = None,
        timeout: float | None = None,
    ) -> Callable[[F], F]:
        """Register a handler for `rule`, which is relative to where the app is mounted.

        `<name>`, `<int:name>`, `<float:name>` and `<path:name>` in the rule become arguments.
        methods: those it answers, GET, HEAD, POST, PUT, PATCH and DELETE when none are named; GET
        brings HEAD with it, and OPTIONS is answered for all that do not name it.
        timeout: seconds it has, in the place of `request_timeout` in the conf; 0: as long as it
        takes. Among several calls of one RPC document it does not count.
        The handler is returned as it was, so several rules may be stacked.
        Raises RouteError for a rule that cannot be used.
        """

        if callable(rule):  # the handler itself, where the parentheses were forgotten
            raise RouteError(f'@app.route on {name_of(rule)}: write @app.route("/its/path")')

        def register(handler: F) -> F:
            self.add_route(rule, handler, methods, timeout)
            return handler

        return register

    def add_route(
        self,
        rule: str,
        handler: Handler,
        methods: Collection[str] | None = None,
        timeout: float | None = None,
    ) -> None:
        """`route` without the decorator."""
        self.router.add(rule, handler, methods, timeout)

    # --- hooks; see `skitai.hooks` for their order ---

    def before_request(self, hook: F) -> F:
        """Call `hook(was)` before each handler; if it returns something, that is the answer.

        What is empty ("", {}) is none, but for `return was.response.error(403)`.
        """
        self.hooks.before.append(_takes(hook, "before_request", "was"))
        return hook

    def after_request(self, hook: F) -> F:
        """Call `hook(was)` after each handler that succeeded; it may return another answer."""
        self.hooks.after.append(_takes(hook, "after_request", "was"))
        return hook

    def teardown_request(self, hook: F) -> F:
        """Call `hook(was)` when something has raised; what it returns is the answer, with 200.

        `was.response.start` sets another status. None leaves the exception to the level around.
        """
        self.hooks.teardown.append(_takes(hook, "teardown_request", "was"))
        return hook

    def errorhandler(self, what: int | type[Exception]) -> Callable[[F], F]:
        """Register `handler(was, error)` for a status or a class of exceptions.

        What it returns is the answer, with that status, or 500. It is called for what is raised,
        for `was.response.error` from 400 on, and the app's for paths that no rule has (404, 405).
        Raises WrongUse for what is neither.
        """
        is_class = isinstance(what, type) and issubclass(what, Exception)
        if not is_class and not (isinstance(what, int) and 300 <= what <= 599):
            raise WrongUse(f"errorhandler({what!r}): give a status of 300..599 or an exception")

        def register(handler: F) -> F:
            self.hooks.errors[what] = _takes(handler, "errorhandler", "was", "error")
            return handler

        return register

    # --- life ---

    def startup(self, hook: F) -> F:
        """Call `hook(wasc, app)` once when a worker has imported the app, before it serves.

        Raises WrongUse for an `async def`, as the two below do: there is no loop yet, or any more.
        """
        self._startup.append(_plain(_takes(hook, "startup", "wasc", "app")))
        return hook

    def onreload(self, hook: F) -> F:
        """Call `hook(wasc, app)` when the module was imported anew, in place of `startup`."""
        self._onreload.append(_plain(_takes(hook, "onreload", "wasc", "app")))
        return hook

    def shutdown(self, hook: F) -> F:
        """Call `hook(wasc, app)` when the worker leaves, after its last request."""
        self._shutdown.append(_plain(_takes(hook, "shutdown", "wasc", "app")))
        return hook

    def add_package(self, module: ModuleType) -> None:
        """Join the rules and hooks of `module.package`.

        If we have started already it starts now, else when we do. Raises WrongUse for a module
        without a package, or one that was added before.
        """
        package = _package_of(module)
        if package in self.packages:
            raise WrongUse(f"add_package({module.__name__}): it was added before")
        self.packages.append(package)
        if self._wasc is not None:
            package.start(self._wasc)

    def family(self) -> Iterator[Package]:
        """This one, and all packages below it."""
        yield self
        for package in self.packages:
            yield from package.family()

    def start(self, wasc: Wasc) -> None:
        """For the worker: call the startup hooks, then start packages that were added before.

        Once per worker, however many apps have added it.
        """
        if self._wasc is wasc:
            return
        if self._early is None:
            self._early = list(self.packages)
        self.packages = list(self._early)  # in a test we start again, and startup adds again
        self._wasc = wasc
        for hook in self._startup:
            hook(wasc, self)
        for package in self._early:
            package.start(wasc)

    def replace(self, old: Package, wasc: Wasc) -> None:
        """For the worker: take the place of `old`, whose module was imported anew.

        Its packages go on as ours, each as its module has it now; `onreload` is called for all
        that are new, the outer ones first. What our module adds for the first time is started.
        Raises what a hook raises, or WrongUse for a module that has no package any more.
        """
        pairs = [(each, each.now()) for each in old.packages]
        carried = [now for _, now in pairs]
        known = {*carried, *old.packages}
        added = [each for each in self.packages if each not in known]
        self.packages, self._wasc = carried + added, wasc
        if self is not old:
            for hook in self._onreload:
                hook(wasc, self)
        for before, now in pairs:
            now.replace(before, wasc)
        for package in added:
            package.start(wasc)

    def now(self) -> Package:
        """The package that our module has now, if it was imported anew since we were added."""
        module = sys.modules[self.module.__name__]  # type: ignore[union-attr]  # it was added
        return self if module is self.module else _package_of(module)

    def end(self, wasc: Wasc) -> None:
        """For the worker: call the shutdown hooks, those of the packages first.

        One that fails is logged, and the others are called all the same. Once, as `start`.
        """
        if self._wasc is None:
            return
        self._wasc = None
        for package in reversed(self.packages):
            package.end(wasc)
        for hook in self._shutdown:
            try:
                hook(wasc, self)
            except BaseException:  # a SystemExit too: the worker is leaving anyway
                wasc.logger.exception("the shutdown hook %s has failed", name_of(hook))


def _takes(hook: F, kind: str, *names: str) -> F:
    """The hook. Raises WrongUse for one that cannot be called with so many arguments."""
    try:
        signature(hook).bind(*names)
    except TypeError:
        raise WrongUse(
            f"@app.{kind} on {name_of(hook)}: it is called with {' and '.join(names)}"
        ) from None
    return hook


def _plain(hook: F) -> F:
    """The hook. Raises WrongUse for one that would have to be awaited."""
    if iscoroutinefunction(hook):
        raise WrongUse(f"{name_of(hook)} is called by the worker itself: write def, not async def")
    return hook


def _package_of(module: ModuleType) -> Package:
    """That of a module. Raises WrongUse if it has none."""
    package = getattr(module, "package", None)
    if not isinstance(package, Package):
        name = getattr(module, "__name__", repr(module))
        raise WrongUse(f"add_package({name}): write package = ssgi.Package() in that module")
    package.module = module
    return package
