"""The source files that modules were read from, and what they were like then.

One per process that imports apps: a worker, or with `preload` the master, of which each worker
has a copy. It sits in sys.meta_path, in front of the finder that it asks, and notes each file
just before it is read; so no later change is missed, whoever imports it: the worker, another
module, a handler on its way. Written by whatever thread imports, one step of a dict at a time.
Read by the loop.

It decides nothing: what is imported, and from where, is as without it. Only a file that was read
before is compiled from its text again.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from types import ModuleType

Stamp = tuple[int, int]  # nanoseconds and bytes: when it was written, and how long it is

GONE: Stamp = (-1, -1)


def stamp(file: str) -> Stamp:
    """What a file is like now, GONE if there is none."""
    try:
        found = os.stat(file)
    except OSError:
        return GONE
    return found.st_mtime_ns, found.st_size


class Sources:
    """A finder of modules that remembers."""

    def __init__(self) -> None:
        self._read: dict[str, Stamp | None] = {}  # by file; None: nobody has that module any more
        self._missing: dict[str, Sequence[str] | None] = {}  # names, and where they were looked for

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As Python's `PathFinder` does, which is asked."""
        spec = PathFinder.find_spec(name, path, target)
        if spec is None:
            self._missing[name] = path
        else:
            self._note(spec)
        return spec

    def spec_of(self, name: str, file: str) -> ModuleSpec:
        """For a module that is read from a file, not found by its name."""
        spec = spec_from_file_location(name, file)
        assert spec is not None  # the conf takes .py files only
        self._note(spec)
        return spec

    def _note(self, spec: ModuleSpec) -> None:
        file = spec.origin
        if type(spec.loader) is not SourceFileLoader or file is None:
            return
        if file in self._read:
            spec.loader = _FromText(spec.name, file)
        self._read[file] = stamp(file)

    def read(self) -> Mapping[str, Stamp]:
        """The files that modules in use were read from, and what they were like then."""
        return {file: each for file, each in list(self._read.items()) if each is not None}

    def forget(self, file: str) -> None:
        """Its module is no longer in use."""
        self._read[file] = None

    def forget_missing(self) -> None:
        """The names that were not found are looked for again."""
        self._missing.clear()

    def has_appeared(self) -> bool:
        """Whether a module is there now that was looked for in vain."""
        importlib.invalidate_caches()
        return any(PathFinder.find_spec(*each) is not None for each in list(self._missing.items()))


class _FromText(SourceFileLoader):
    """Compiles a file as it is.

    The compiled one that Python keeps is taken for current if the text was written in the same
    second and has the same length; whoever saves twice in a second would get the first.
    """

    def path_stats(self, path: object) -> Mapping[str, int]:
        """Says that there is nothing to compare with."""
        raise OSError


def loaded() -> Iterator[tuple[str, str]]:
    """Name and file of all modules that were loaded from a file."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is not None:
            yield name, file


def installed() -> Sources:
    """The one of this process, which is put to work if it was not yet."""
    for finder in sys.meta_path:
        if isinstance(finder, Sources):
            return finder
    made = Sources()
    sys.meta_path.insert(sys.meta_path.index(PathFinder), made)
    return made
