"""The application: a package that has a name, a mode and templates."""

from __future__ import annotations

from functools import cached_property

import jinja2

from skitai import templates
from skitai.package import Package


class Application(Package):
    """One app of a server; the module that a route names has it as its global `app`.

        app = ssgi.Application(__name__)

        @app.route("/hello")
        def hello(was):
            return "Hello World"

    import_name: the module's `__name__`, for messages, and to find `templates/` beside it.
    """

    def __init__(self, import_name: str) -> None:
        super().__init__()
        self.import_name = import_name
        self._devel = False
        self._has_session = False

    def set_devel(self, flag: bool = True) -> None:
        """Development mode: a module that changed is imported anew before the next request.

        Error pages show tracebacks, and templates that changed are read again.
        """
        self._devel = flag

    def is_devel(self) -> bool:
        """Whether development mode is on; off by default."""
        return self._devel

    def use_session(self, flag: bool = True) -> None:
        """Let handlers use `was.session`; off by default."""
        self._has_session = flag

    @property
    def has_session(self) -> bool:
        """Whether handlers may use `was.session`."""
        return self._has_session

    def get_template(self, name: str) -> jinja2.Template:
        """The Jinja2 template `templates/<name>` beside the app's module.

        Raises jinja2.TemplateNotFound, or jinja2.TemplateSyntaxError.
        """
        return self.jinja_env.get_template(name)

    @cached_property
    def jinja_env(self) -> jinja2.Environment:
        """Where templates, filters and globals live; add filters to `app.jinja_env.filters`."""
        return templates.environment(self.import_name, self._devel)

    def __repr__(self) -> str:
        return f"<Application {self.import_name}>"
