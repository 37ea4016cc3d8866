"""Before, after, teardown: what is called around a handler, and in which order. Pure.

An app is a level, and so is each package down to the one that has the handler. `course` does not
call anything: it yields what is to be called next, and is sent what that returned, or thrown what
it raised. So one set of rules serves plain handlers, async ones and tests.

    app.before, package.before, handler, package.after, app.after

- A `before` that returns something has answered: the handler and the rest of its own level are
  skipped. The levels around it go on as after a handler. "" and what else is empty is no answer,
  but `was.response.error` is one.
- An `after` that returns something replaces the answer.
- Whatever raises at a level, hooks included, goes to that level's `errorhandler` for it, else to
  its `teardown`; what these return is the answer, and the level around it goes on as after a
  handler. If there are none, or they return None, the exception goes one level out.
- `was.response.error` raises nothing, so no `teardown` is called; a level is through, and then its
  `errorhandler` may answer instead, unless it is a redirect.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any

from skitai.errors import HttpError

Hook = Callable[..., Any]
Step = Callable[[], Any]


class Hooks:
    """Those of one level, in the order in which they were registered."""

    __slots__ = ("after", "before", "errors", "teardown")

    def __init__(self) -> None:
        self.before: list[Hook] = []  # called with was
        self.after: list[Hook] = []
        self.teardown: list[Hook] = []
        self.errors: dict[int | type[Exception], Hook] = {}  # called with was and the exception

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.before or self.after or self.teardown or self.errors)

    def for_error(self, error: Exception) -> Hook | None:
        """The handler of an exception: for its class, the nearest first, else for its status."""
        for each in type(error).__mro__:
            if each in self.errors:
                return self.errors[each]
        return self.errors.get(error.status if isinstance(error, HttpError) else 500)


Course = Generator[Step, Any, Any]


def course(was: Any, levels: tuple[Hooks, ...], handler: Step) -> Course:
    """Everything that is called for one request; returns what the answer is made of.

    levels: outermost first. Raises what nobody has handled.
    """
    if not levels:
        return (yield handler)
    hooks, inner = levels[0], levels[1:]
    try:
        for before in hooks.before:
            value = yield partial(before, was)
            if value or was.request.problem is not None:
                break
        else:
            value = yield from course(was, inner, handler)
            for after in hooks.after:
                replacement = yield partial(after, was)
                if replacement is not None:
                    value = replacement
    except Exception as error:
        value = yield from _recover(was, hooks, error)
        if value is None:
            raise
        return value
    problem = was.request.problem
    if problem is not None and problem.status >= 400 and hooks.for_error(problem) is not None:
        page = yield from _recover(was, hooks, problem)
        if page is not None:
            return page
        was.response.problem = problem
    return value


def _recover(was: Any, hooks: Hooks, error: Exception) -> Course:
    handler = hooks.for_error(error)
    if handler is not None:
        was.response.problem = None
        was.response.status = error.status if isinstance(error, HttpError) else 500
        return (yield partial(handler, was, error))
    for teardown in hooks.teardown:
        value = yield partial(teardown, was)
        if value is not None:
            return value
    return None


def follow(steps: Course, run_async: Callable[[Any], Any]) -> Any:
    """Call what a course wants called. run_async: waits for the coroutine of an async hook."""
    try:
        step = next(steps)
        while True:
            try:
                value = step()
                if hasattr(value, "__await__"):
                    value = run_async(value)
            except Exception as error:
                step = steps.throw(error)
            else:
                step = steps.send(value)
    except StopIteration as end:
        return end.value


async def follow_async(steps: Course) -> Any:
    """The same on the loop; plain hooks are called there, and must not wait."""
    try:
        step = next(steps)
        while True:
            try:
                value = step()
                if hasattr(value, "__await__"):
                    value = await value
            except Exception as error:
                step = steps.throw(error)
            else:
                step = steps.send(value)
    except StopIteration as end:
        return end.value
