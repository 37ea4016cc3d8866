"""An application: decorators register, nothing runs at import."""

from __future__ import annotations

from typing import Any

import pytest

from skitai.errors import RouteError
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
    assert app.router.match("/b/5") == (app.router.routes()[1], {"n": 5})


def test_add_route_is_the_same() -> None:
    """Without a decorator."""
    app = ssgi.Application("webapp")

    def handler(was: Any) -> None: ...

    app.add_route("/a", handler)
    assert app.router.match("/a") is not None
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
