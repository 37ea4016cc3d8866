"""The global options of the command line, for the verbs that need the directories."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Concatenate, ParamSpec, TypeVar

import click
import msgspec

from skitaid.paths import Paths

P = ParamSpec("P")
R = TypeVar("R")


class Directories(msgspec.Struct, frozen=True):
    """The global options as given. Only verbs that need them look whether they exist."""

    etc: str | None
    var: str | None


def pass_paths(verb: Callable[Concatenate[Paths, P], R]) -> Callable[P, R]:
    """Give a verb the `Paths` that the global options name."""

    def with_paths(*args: P.args, **kwargs: P.kwargs) -> R:
        given: Directories = click.get_current_context().obj
        return verb(Paths.find(given.etc, given.var), *args, **kwargs)

    return update_wrapper(with_paths, verb)
