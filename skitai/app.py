"""The application: a name, its rules, its mode. Decorators register, nothing runs at import."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

import jinja2

from skitai import templates
from skitai.routing import Handler, Router

H = TypeVar("H", bound=Callable[..., Any])


class Application:
    """One app of a server; the module that a route names has it as its global `app`.

        app = ssgi.Application(__name__)

        @app.route("/hello")
        def hello(was):
            return "Hello World"

    import_name: the module's `__name__`, for messages.
    """

    def __init__(self, import_name: str) -> None:
        self.import_name = import_name
        self.router = Router()
        self._devel = False

    def route(self, rule: str) -> Callable[[H], H]:
        """Register a handler for `rule`, which is relative to where the app is mounted.

        `<name>`, `<int:name>`, `<float:name>` and `<path:name>` in the rule become arguments.
        The handler is returned as it was, so several rules may be stacked.
        Raises RouteError for a rule that cannot be used.
        """

        def register(handler: H) -> H:
            self.add_route(rule, handler)
            return handler

        return register

    def add_route(self, rule: str, handler: Handler) -> None:
        """`route` without the decorator."""
        self.router.add(rule, handler)

    def get_template(self, name: str) -> jinja2.Template:
        """The Jinja2 template `templates/<name>` beside the app's module.

        Raises jinja2.TemplateNotFound, or jinja2.TemplateSyntaxError.
        """
        return self._templates.get_template(name)

    @cached_property
    def _templates(self) -> jinja2.Environment:
        return templates.environment(self.import_name)

    def set_devel(self, flag: bool = True) -> None:
        """Development mode: an exception's traceback is shown on the error page."""
        self._devel = flag

    def is_devel(self) -> bool:
        """Whether development mode is on; off by default."""
        return self._devel

    def __repr__(self) -> str:
        return f"<Application {self.import_name}>"
