"""Tests that run on a uvloop loop of their own."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec

import uvloop
from waits import PATIENCE

P = ParamSpec("P")


def on_uvloop(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Run an async test on a loop of its own; what fails unseen on the loop fails the test."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        unseen: list[dict[str, Any]] = []
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.get_loop().set_exception_handler(lambda _, context: unseen.append(context))
            runner.run(_bounded(test(*args, **kwargs)))
        assert not unseen

    return run


async def _bounded(test: Awaitable[None]) -> None:
    async with asyncio.timeout(PATIENCE):
        await test


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop go round until `condition` holds; the test's own time limit bounds it."""
    while not condition():  # noqa: ASYNC110  # it changes in callbacks that tell nobody
        await asyncio.sleep(0)
