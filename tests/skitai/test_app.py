"""An application and its packages: decorators register, nothing runs at import."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, cast

import pytest

from skitai.errors import RouteError, WrongUse
from skitai.server import ssgi


def test_route_returns_the_handler() -> None:
    """So rules can be stacked, and the function can still be called."""
    app = ssgi.Application("webapp")

    @app.route("/a")
    @app.route("/b/<int:n>")
    def handler(was: Any, n: int = 0) -> int:
        return n + 1

    assert handler(None, 1) == 2
    assert [route.handler for route in app.router.routes()] == [handler, handler]


def test_add_route_is_the_same() -> None:
    """Without a decorator."""
    app = ssgi.Application("webapp")

    def handler(was: Any) -> None: ...

    app.add_route("/a", handler)
    assert [route.rule for route in app.router.routes()] == ["/a"]
    with pytest.raises(RouteError):
        app.add_route("/a", handler)


def test_development_mode() -> None:
    """Off unless it is switched on."""
    app = ssgi.Application("webapp")
    modes = [app.is_devel()]
    app.set_devel()
    modes.append(app.is_devel())
    app.set_devel(False)
    modes.append(app.is_devel())

    assert modes == [False, True, False]
    assert repr(app) == "<Application webapp>"


def module(**names: Any) -> ModuleType:
    made = ModuleType("greetings")
    vars(made).update(names)
    return made


def test_package_joins_when_the_app_starts() -> None:
    """Its startup is called within add_package, with itself."""
    app, package, calls = ssgi.Application("webapp"), ssgi.Package(), []

    @package.startup
    def begin(wasc: Any, given: Any) -> None:
        calls.append(("package", wasc, given))

    @app.startup
    def startup(wasc: Any, given: Any) -> None:
        given.add_package(module(package=package))
        calls.append(("app", wasc, given))

    wasc = cast(Any, object())
    app.start(wasc)

    assert calls == [("package", wasc, package), ("app", wasc, app)]
    assert list(app.family()) == [app, package]


def test_package_that_was_added_before_the_start() -> None:
    """Then it starts after the app."""
    app, package, calls = ssgi.Application("webapp"), ssgi.Package(), []
    app.startup(lambda wasc, given: calls.append("app"))
    package.startup(lambda wasc, given: calls.append("package"))
    app.add_package(module(package=package))

    app.start(cast(Any, object()))

    assert calls == ["app", "package"]


def test_shutdown_goes_the_other_way_round() -> None:
    """What an app has given its packages is there as long as they need it."""
    app, package, calls = ssgi.Application("webapp"), ssgi.Package(), []
    app.shutdown(lambda wasc, given: calls.append("app"))
    package.shutdown(lambda wasc, given: calls.append("package"))
    app.add_package(module(package=package))
    wasc = cast(Any, object())
    app.start(wasc)

    app.end(wasc)

    assert calls == ["package", "app"]


def test_module_without_a_package() -> None:
    """The message says what to write."""
    app = ssgi.Application("webapp")
    with pytest.raises(WrongUse, match=r"add_package\(greetings\): write package = ssgi.Package"):
        app.add_package(module())


def test_package_is_added_once() -> None:
    """Its hooks would be called twice."""
    app, package = ssgi.Application("webapp"), ssgi.Package()
    app.add_package(module(package=package))
    with pytest.raises(WrongUse, match="added before"):
        app.add_package(module(package=package))


@pytest.mark.parametrize("what", [200, 600, "404", BaseException, None])
def test_errorhandler_of_what_is_no_error(what: Any) -> None:
    """A status of 300 to 599, or a class of exceptions."""
    with pytest.raises(WrongUse, match="give a status of"):
        ssgi.Application("webapp").errorhandler(what)


# What the worker does with them


def packaged(
    monkeypatch: pytest.MonkeyPatch, calls: list[str]
) -> tuple[ssgi.Application, ssgi.Package, Any]:
    """A started app with a package, both with all hooks."""
    app, package, wasc = ssgi.Application("webapp"), with_hooks("package", calls), object()
    monkeypatch.setitem(sys.modules, "greetings", module(package=package))
    app.add_package(sys.modules["greetings"])
    app.start(cast(Any, wasc))
    calls.clear()
    return app, package, wasc


def with_hooks(name: str, calls: list[str]) -> ssgi.Package:
    package = ssgi.Package()
    package.startup(lambda wasc, given: calls.append(f"startup of {name}"))
    package.onreload(lambda wasc, given: calls.append(f"onreload of {name}"))
    package.shutdown(lambda wasc, given: calls.append(f"shutdown of {name}"))
    return package


@pytest.mark.parametrize(
    ("hook", "words"),
    [
        ("before_request", "it is called with was"),
        ("after_request", "it is called with was"),
        ("teardown_request", "it is called with was"),
        ("startup", "it is called with wasc and app"),
        ("onreload", "it is called with wasc and app"),
        ("shutdown", "it is called with wasc and app"),
    ],
)
def test_a_hook_that_cannot_be_called_is_refused_at_once(hook: str, words: str) -> None:
    """Not at the first request. As with Flask, some would write it without arguments."""
    app = ssgi.Application("webapp")

    def check() -> None:
        """A hook of another framework."""

    with pytest.raises(WrongUse, match=rf"@app\.{hook} on .*check: {words}"):
        getattr(app, hook)(check)
    with pytest.raises(WrongUse, match="it is called with was and error"):
        app.errorhandler(404)(lambda error: None)


def test_a_route_without_parentheses_is_refused_at_once() -> None:
    """Else it would be a page that nobody finds."""
    app = ssgi.Application("webapp")
    with pytest.raises(RouteError, match=r'write @app\.route\("/its/path"\)'):

        @app.route
        def page(was: Any) -> None:
            """A handler."""


def test_app_that_is_replaced_hands_on_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their startup is not called again; what the new module adds for the first time starts."""
    calls: list[str] = []
    old, package, wasc = packaged(monkeypatch, calls)
    new, more = ssgi.Application("webapp"), with_hooks("more", calls)
    new.add_package(sys.modules["greetings"])
    new.add_package(module(package=more))
    new.onreload(lambda wasc, given: calls.append("onreload of app"))

    new.replace(old, wasc)

    assert calls == ["onreload of app", "startup of more"]
    assert list(new.family()) == [new, package, more]
    new.end(wasc)
    assert calls[2:] == ["shutdown of more", "shutdown of package"]


def test_package_that_was_imported_anew_takes_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even in an app that was not."""
    calls: list[str] = []
    app, _, wasc = packaged(monkeypatch, calls)
    newer = with_hooks("newer", calls)
    monkeypatch.setitem(sys.modules, "greetings", module(package=newer))

    app.replace(app, wasc)

    assert calls == ["onreload of newer"]
    assert list(app.family()) == [app, newer]


def test_package_of_two_apps_starts_and_ends_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one object, and its worker is one."""
    calls: list[str] = []
    app, _, wasc = packaged(monkeypatch, calls)
    other = ssgi.Application("other")
    other.add_package(sys.modules["greetings"])

    other.start(wasc)
    other.end(wasc)
    app.end(wasc)

    assert calls == ["shutdown of package"]


def test_app_that_starts_again() -> None:
    """As in tests: its startup may add what it added the first time."""
    app, package = ssgi.Application("webapp"), ssgi.Package()
    app.startup(lambda wasc, given: given.add_package(module(package=package)))
    for wasc in (object(), object()):
        app.start(cast(Any, wasc))
        assert list(app.family()) == [app, package]
        app.end(cast(Any, wasc))


def test_hook_that_would_have_to_be_awaited() -> None:
    """It would never run, so it is refused."""

    async def hook(wasc: Any, app: Any) -> None: ...

    app = ssgi.Application("webapp")
    for register in (app.startup, app.onreload, app.shutdown):
        with pytest.raises(WrongUse, match=r"hook is called by the worker itself: write def, not"):
            register(hook)
