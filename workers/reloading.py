"""Development mode: what was changed is imported anew before the next request is served.

One per worker that has an app in development mode. Runs on the loop, all of it in one go, so no
request begins between an old module and a new one; that the loop stands still meanwhile is the
price of development. Requests that have begun finish on the code they began with: a changed module
is never executed over the old one, but replaced in sys.modules.

Looked at are the files of each such app: its module, all that was imported from its directory or
below, and its packages wherever they are. If one of them was changed, it is imported anew together
with whatever imports it, and the app. Other modules stay, and so does what they hold.

An app that does not come up is not tried again until something else is changed; its old code
answers no more, since that would look as if the change were right.
"""

from __future__ import annotations

import ast
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Callable, Collection, Mapping

from skitai.app import Application
from skitai.pages import error_page
from skitai.wasc import Wasc

from .apps import AppFailed, import_app, trace_of
from .sources import Sources, installed, loaded, stamp
from .web.mounts import Failed, Mounts

log = logging.getLogger(__name__)

# Below the directory of an app, but not its author's: a virtual environment, and this server.
_FOREIGN = ("site-packages", "dist-packages")
_OURS = ("skitai", "skitaid")


def looking(apps: dict[str, Application], mounts: Mounts, wasc: Wasc) -> Callable[[], None] | None:
    """What is to be called before requests; None if no app is in development mode.

    apps: by the file of their route; those that are imported anew are put there.
    """
    sources = installed()
    if any(app.is_devel() for app in apps.values()):
        return Reloader(apps, mounts, wasc, sources).look
    sys.meta_path.remove(sources)
    return None


class Reloader:
    """Of one worker."""

    def __init__(
        self, apps: dict[str, Application], mounts: Mounts, wasc: Wasc, sources: Sources
    ) -> None:
        self._apps = apps
        self._mounts = mounts
        self._wasc = wasc
        self._sources = sources
        self._failed: set[str] = set()  # files of apps

    def look(self) -> None:
        """Import anew what was changed. Before each request of an app in development mode."""
        read = self._sources.read()
        own = {file: self._own(file, read) for file, app in self._apps.items() if app.is_devel()}
        watched = set().union(*own.values())
        changed = {file for file in watched if stamp(file) != read[file]}
        if not changed and not (self._failed and self._sources.has_appeared()):
            return
        stale = _stale(changed, watched)
        names = {file: _name(self._apps[file]) for file in own}
        self._drop({name: file for name, file in stale.items() if name not in names.values()})
        importlib.invalidate_caches()
        self._sources.forget_missing()
        for file in own:
            if names[file] in stale or own[file] & changed or file in self._failed:
                self._renew(file)

    def _own(self, file: str, read: Collection[str]) -> set[str]:
        """Of the files that were read, those of the app of that file."""
        directory = os.path.join(os.path.dirname(file), "")
        packages = [each.module.__file__ for each in self._apps[file].family() if each.module]
        own = {each for each in read if _is_authors(each, directory) or each in packages}
        return own - (self._apps.keys() - {file})

    def _drop(self, stale: Mapping[str, str]) -> None:
        """The next import of these modules reads their files."""
        for name, file in stale.items():
            sys.modules.pop(name, None)
            self._sources.forget(file)

    def _renew(self, file: str) -> None:
        try:
            app = self._import(file)
        except BaseException as error:  # whatever an import or a hook raises, SystemExit too
            self._fail(file, error)
        else:
            self._apps[file] = app
            self._mounts.replace(file, app)
            self._failed.discard(file)
            log.info("%s: imported anew after a change", file)

    def _import(self, file: str) -> Application:
        """The app as it is now, in the place of the old one, but for the mounts."""
        old = self._apps[file]
        app = import_app(_name(old), file)
        for package in old.family():
            if package.module is not None:
                importlib.import_module(package.module.__name__)
        app.replace(old, self._wasc)
        return app

    def _fail(self, file: str, error: BaseException) -> None:
        trace = "" if isinstance(error, AppFailed) else trace_of(error)
        sentence = f"{file} was changed and does not come up: {_what(error, os.path.dirname(file))}"
        log.error("%s", f"{sentence}\n{trace}".rstrip())
        self._failed.add(file)
        self._mounts.fail(file, Failed(sentence, error_page(500, sentence, trace)))


def _stale(changed: Collection[str], watched: Collection[str]) -> dict[str, str]:
    """Names and files of the modules that were changed, and of all that import one of them.

    A package of Python is taken as a whole, since its modules are attributes of each other.
    """
    files = {name: file for name, file in loaded() if file in watched}
    stale = {_top(name) for name, file in files.items() if file in changed}
    imports = {name: imported(file) for name, file in files.items() if file not in changed}
    more = stale
    while more:
        more = {_top(name) for name in imports if imports[name] & stale} - stale
        stale = stale | more
    return {name: file for name, file in files.items() if _top(name) in stale}


def imported(file: str) -> set[str]:
    """The first parts of the names that a source file imports, anywhere in it.

    None for a file that cannot be parsed: that of an app which has failed, and is tried anyway.
    """
    try:
        with open(file, "rb") as source:
            nodes = list(ast.walk(ast.parse(source.read())))
    except (OSError, SyntaxError, ValueError):
        return set()
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    return {_top(name) for name in names | {node.module or "" for node in froms}}


def _top(name: str) -> str:
    return name.partition(".")[0]


def _name(app: Application) -> str:
    """Of its module."""
    assert app.module is not None  # it was imported
    return app.module.__name__


def _is_authors(file: str, directory: str) -> bool:
    """Whether the author of the app in that directory is the one who changes the file."""
    if not file.startswith(directory):
        return False
    parts = file[len(directory) :].split(os.sep)
    return parts[0] not in _OURS and not any(each in parts for each in _FOREIGN)


def _what(error: BaseException, directory: str) -> str:
    """What was raised, and where: in the innermost line that is below the directory, if any is."""
    if isinstance(error, AppFailed):
        return str(error)
    places = [(each.filename, each.lineno) for each in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((error.filename, error.lineno))
    nearby = [place for place in places if place[0].startswith(directory)] or places
    where = "{}, line {}: ".format(*nearby[-1]) if nearby else ""
    text = error.msg if isinstance(error, SyntaxError) else error
    return f"{where}{type(error).__name__}: {text}"
