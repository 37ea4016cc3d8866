"""An application and its packages: decorators register, nothing runs at import."""

from __future__ import annotations

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
