"""Jinja2 templates from the `templates` directory beside an app's module."""

from __future__ import annotations

import os
import sys

import jinja2


def environment(import_name: str, auto_reload: bool = False) -> jinja2.Environment:
    """The environment of the app in module `import_name`; what is rendered is escaped.

    Compiled templates are kept in a directory of the user's own, where Jinja2 finds them again
    when the next worker starts. auto_reload: look whether a template has changed before each use.
    """
    module = sys.modules[import_name]
    beside = os.path.dirname(os.path.abspath(module.__file__ or ""))
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(os.path.join(beside, "templates")),
        autoescape=True,
        auto_reload=auto_reload,
        bytecode_cache=jinja2.FileSystemBytecodeCache(),
    )
