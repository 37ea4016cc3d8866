"""Imports the apps of a server. Runs in a worker, before it serves.

An app is loaded from its file, so two apps may have the same file name in different
directories. Its directory goes to the front of sys.path, so that it finds the modules beside it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable
from types import ModuleType

from skitai.app import Application
from skitai.server import ssgi

from .settings import AppRoute, Route


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
        module = _import(_module_name(route.file), route.file)
    except BaseException as error:  # whatever an app's import raises, SystemExit included
        trace = "".join(traceback.format_exception(_without_loader_frames(error)))
        raise AppFailed(f"{route.where}: {route.file} does not import:\n{trace.rstrip()}") from None
    app = getattr(module, "app", None)
    if not isinstance(app, ssgi.Application):  # what apps import is loaded before the fork, too
        what = "has no global named app" if app is None else f"has an app that is {app!r}"
        raise AppFailed(
            f"{route.where}: {route.file} {what}; write app = ssgi.Application(__name__)"
        )
    return app


def _import(name: str, file: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None  # the conf takes .py files only
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _module_name(file: str) -> str:
    """The file's own name, unless another module has it already."""
    stem = os.path.splitext(os.path.basename(file))[0]
    return f"{stem}_{abs(hash(file)):x}" if stem in sys.modules else stem


def _without_loader_frames(error: BaseException) -> BaseException:
    """The traceback from the app's own first line on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and _is_ours(trace.tb_frame.f_code):
        trace = trace.tb_next
    return error.with_traceback(trace)


def _is_ours(code: object) -> bool:
    filename: str = getattr(code, "co_filename", "")
    return filename == __file__ or filename.startswith("<frozen importlib")
