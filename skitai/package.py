"""A package: rules and hooks in a module of their own, joined to an app. Runs where the app does.

Decorators register, nothing is called at import. Its rules live beside those of the app, under
the same base; its hooks are called inside those of the app.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from skitai.errors import WrongUse
from skitai.hooks import Hooks
from skitai.routing import Handler, Router

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
        self.module: ModuleType | None = None  # the one it was added with
        self._startup: list[Callable[..., Any]] = []
        self._onreload: list[Callable[..., Any]] = []
        self._shutdown: list[Callable[..., Any]] = []
        self._wasc: Wasc | None = None  # once it has started

    # --- rules ---

    def route(self, rule: str, methods: Collection[str] | None = None) -> Callable[[F], F]:
        """Register a handler for `rule`, which is relative to where the app is mounted.

        `<name>`, `<int:name>`, `<float:name>` and `<path:name>` in the rule become arguments.
        methods: those it answers, GET, HEAD, POST, PUT, PATCH and DELETE when none are named; GET
        brings HEAD with it, and OPTIONS is answered for all that do not name it.
        The handler is returned as it was, so several rules may be stacked.
        Raises RouteError for a rule that cannot be used.
        """

        def register(handler: F) -> F:
            self.add_route(rule, handler, methods)
            return handler

        return register

    def add_route(
        self, rule: str, handler: Handler, methods: Collection[str] | None = None
    ) -> None:
        """`route` without the decorator."""
        self.router.add(rule, handler, methods)

    # --- hooks; see `skitai.hooks` for their order ---

    def before_request(self, hook: F) -> F:
        """Call `hook(was)` before each handler; if it returns something, that is the answer."""
        self.hooks.before.append(hook)
        return hook

    def after_request(self, hook: F) -> F:
        """Call `hook(was)` after each handler that succeeded; it may return another answer."""
        self.hooks.after.append(hook)
        return hook

    def teardown_request(self, hook: F) -> F:
        """Call `hook(was)` when something has raised; what it returns is the answer, with 200.

        `was.response.start` sets another status. None leaves the exception to the level around.
        """
        self.hooks.teardown.append(hook)
        return hook

    def errorhandler(self, what: int | type[Exception]) -> Callable[[F], F]:
        """Register `handler(was, error)` for a status or a class of exceptions.

        What it returns is the answer, with that status, or 500; 404 and 405 of paths that no rule
        has go to the app's. Raises WrongUse for what is neither.
        """
        is_class = isinstance(what, type) and issubclass(what, Exception)
        if not is_class and not (isinstance(what, int) and 300 <= what <= 599):
            raise WrongUse(f"errorhandler({what!r}): give a status of 300..599 or an exception")

        def register(handler: F) -> F:
            self.hooks.errors[what] = handler
            return handler

        return register

    # --- life ---

    def startup(self, hook: F) -> F:
        """Call `hook(wasc, app)` once when a worker has imported the app, before it serves."""
        self._startup.append(hook)
        return hook

    def onreload(self, hook: F) -> F:
        """Call `hook(wasc, app)` when the module was imported anew, in place of `startup`."""
        self._onreload.append(hook)
        return hook

    def shutdown(self, hook: F) -> F:
        """Call `hook(wasc, app)` when the worker leaves, after its last request."""
        self._shutdown.append(hook)
        return hook

    def add_package(self, module: ModuleType) -> None:
        """Join the rules and hooks of `module.package`.

        If we have started already it starts now, else when we do. Raises WrongUse for a module
        without a package, or one that was added before.
        """
        package = getattr(module, "package", None)
        name = getattr(module, "__name__", repr(module))
        if not isinstance(package, Package):
            raise WrongUse(f"add_package({name}): write package = ssgi.Package() in that module")
        if package in self.packages:
            raise WrongUse(f"add_package({name}): it was added before")
        package.module = module
        self.packages.append(package)
        if self._wasc is not None:
            package.start(self._wasc)

    def family(self) -> Iterator[Package]:
        """This one, and all packages below it."""
        yield self
        for package in self.packages:
            yield from package.family()

    def start(self, wasc: Wasc) -> None:
        """For the worker: call the startup hooks, then start packages that were added before."""
        early = list(self.packages)
        self._wasc = wasc
        for hook in self._startup:
            hook(wasc, self)
        for package in early:
            package.start(wasc)

    def replace(self, old: Package, wasc: Wasc) -> None:
        """For the worker: take the place of `old`, whose module was imported anew.

        Its packages go on as ours.
        """
        self.module, self.packages, self._wasc = old.module, old.packages, wasc
        for hook in self._onreload:
            hook(wasc, self)

    def end(self, wasc: Wasc) -> None:
        """For the worker: call the shutdown hooks, those of the packages first."""
        for package in reversed(self.packages):
            package.end(wasc)
        for hook in self._shutdown:
            hook(wasc, self)
