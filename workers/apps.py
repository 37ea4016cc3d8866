"""Imports the apps of a server. Runs in a worker, before it serves.

An app is loaded from its file, so two apps may have the same file name in different
directories. Its directory goes to the front of sys.path, so that it finds the modules beside it.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Iterable, Mapping
from importlib.util import module_from_spec
from inspect import getfile
from types import ModuleType, TracebackType

from skitai.app import Application
from skitai.server import ssgi
from skitai.wasc import Wasc

from . import sources
from .settings import AppRoute, Route

_OUR_FILES = [__file__, getfile(Application), importlib.__file__]
_OURS = ("<frozen importlib", *(os.path.join(os.path.dirname(each), "") for each in _OUR_FILES))


class AppFailed(Exception):
    """An app cannot be loaded; the text is for a person, with the traceback if there is one."""


def load_all(routes: Iterable[Route]) -> dict[str, Application]:
    """The apps by the file of their route; one that has several routes is loaded once.

    Raises AppFailed.
    """
    apps: dict[str, Application] = {}
    for route in routes:
        if isinstance(route, AppRoute) and route.file not in apps:
            apps[route.file] = load(route)
    return apps


def load(route: AppRoute) -> Application:
    """Import one app. Raises AppFailed."""
    directory = os.path.dirname(route.file)
    if directory not in sys.path:
        sys.path.insert(0, directory)
    try:
        return import_app(_module_name(route.file), route.file)
    except AppFailed as error:
        raise AppFailed(f"{route.where}: {error}") from None
    except BaseException as error:  # whatever an app's import raises, SystemExit included
        text = f"{route.where}: {route.file} does not import:\n{trace_of(error)}"
        raise AppFailed(text) from None


def import_app(name: str, file: str) -> Application:
    """Import the module of an app under that name, in place of the one that has it.

    Raises whatever the import raises, or AppFailed for a module without an app.
    """
    module = _import(name, file)
    app = getattr(module, "app", None)
    if not isinstance(app, ssgi.Application):  # what apps import is loaded before the fork, too
        what = "has no global named app" if app is None else f"has an app that is {app!r}"
        raise AppFailed(f"{file} {what}; write app = ssgi.Application(__name__)")
    app.module = module
    return app


def start(apps: Mapping[str, Application], wasc: Wasc) -> None:
    """Call what the apps have registered with `@app.startup`. Raises AppFailed."""
    for file, app in apps.items():
        try:
            app.start(wasc)
        except BaseException as error:
            text = f"{file}: its startup has failed:\n{trace_of(error)}"
            raise AppFailed(text) from None


def end(apps: Mapping[str, Application], wasc: Wasc) -> None:
    """Call `@app.shutdown`, of the last app first, then let registered objects clean up."""
    for app in reversed(list(apps.values())):
        app.end(wasc)
    wasc.cleanup()


def trace_of(error: BaseException) -> str:
    """The traceback as text, from the first line on that is not of this server."""
    error = error.with_traceback(_without_our_frames(error.__traceback__))
    return "".join(traceback.format_exception(error)).rstrip()


def _import(name: str, file: str) -> ModuleType:
    spec = sources.installed().spec_of(name, file)
    module = module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)  # type: ignore[union-attr]  # a file has one
    except BaseException:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before
        raise
    return module


def _module_name(file: str) -> str:
    """The file's own name, unless another module has it already."""
    stem = os.path.splitext(os.path.basename(file))[0]
    return f"{stem}_{abs(hash(file)):x}" if stem in sys.modules else stem


def _without_our_frames(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OURS):
        trace = trace.tb_next
    return trace
