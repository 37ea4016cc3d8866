"""Before, after, teardown: who is called in which order, and whose answer counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from skitai.errors import HttpError
from skitai.hooks import Hooks, course, follow, follow_async


class Story:
    """Hooks of two levels, an app and a package, that write down when they are called."""

    def __init__(self, raises: str = "", error: Exception | None = None, **returns: Any) -> None:
        """raises: who raises `error`. returns: what those named return, None the others."""
        self.told: list[str] = []
        self.returns = returns
        self.raises = raises
        self.error = error or KeyError("lost")
        self.was = SimpleNamespace(
            request=SimpleNamespace(problem=None),
            response=SimpleNamespace(status=200, problem=None),
        )
        self.levels = (self._level("app"), self._level("package"))

    def _level(self, name: str) -> Hooks:
        hooks = Hooks()
        hooks.before.append(self.tell(f"{name}_before"))
        hooks.after.append(self.tell(f"{name}_after"))
        hooks.teardown.append(self.tell(f"{name}_teardown"))
        return hooks

    def tell(self, name: str) -> Callable[..., Any]:
        def hook(*given: Any) -> Any:
            self.told.append(name)
            if name == self.raises:
                raise self.error
            return self.returns.get(name)

        return hook

    def run(self) -> Any:
        """The same twice: plain, and on a loop."""
        value = follow(course(self.was, self.levels, self.tell("handler")), asyncio.run)
        told, self.told = self.told, []
        steps = course(self.was, self.levels, self.tell("handler"))
        assert asyncio.run(follow_async(steps)) == value
        assert self.told == told
        return value


ALL = ["app_before", "package_before", "handler", "package_after", "app_after"]


def test_all_goes_well() -> None:
    """App, package, handler, and back."""
    story = Story(handler="page")

    assert story.run() == "page"
    assert story.told == ALL


def test_before_that_answers() -> None:
    """The rest of its level is skipped, the levels around go on."""
    story = Story(package_before="sign in first")
    assert story.run() == "sign in first"
    assert story.told == ["app_before", "package_before", "app_after"]

    story = Story(app_before="closed")
    assert story.run() == "closed"
    assert story.told == ["app_before"]


def test_before_that_returns_nothing_much() -> None:
    """An empty string is no answer."""
    assert Story(app_before="", handler="page").run() == "page"


def test_after_may_replace_the_answer() -> None:
    """The outermost has the last word."""
    assert Story(handler="page", package_after="b", app_after="c").run() == "c"
    assert Story(handler="page", package_after="").run() == ""


def test_teardown_of_the_level_answers() -> None:
    """It is handled then: the level around is told of a success."""
    story = Story(raises="handler", package_teardown="sorry")

    assert story.run() == "sorry"
    assert story.told[2:] == ["handler", "package_teardown", "app_after"]


def test_teardown_that_returns_none() -> None:
    """The exception goes one level out."""
    story = Story(raises="handler", app_teardown="sorry")

    assert story.run() == "sorry"
    assert story.told[2:] == ["handler", "package_teardown", "app_teardown"]


def test_nobody_handles_it() -> None:
    """Whoever runs it all has the exception."""
    story = Story(raises="handler")
    with pytest.raises(KeyError, match="lost"):
        story.run()


@pytest.mark.parametrize("who", ["package_before", "package_after"])
def test_hook_that_raises_is_handled_like_the_handler(who: str) -> None:
    """By the teardown of its own level."""
    assert Story(raises=who, package_teardown="sorry").run() == "sorry"


def test_teardown_that_raises() -> None:
    """What it raised goes out, and what it was called for is its context."""
    story = Story(raises="handler", app_teardown="sorry")
    story.levels[1].teardown.insert(0, lambda was: 1 / 0)
    story.levels[0].teardown.clear()
    with pytest.raises(ZeroDivisionError) as raised:
        story.run()

    assert isinstance(raised.value.__context__, KeyError)


def test_errorhandler_of_the_class() -> None:
    """The nearest class counts, and it comes before teardown; the status is 500 unless it says."""
    story = Story(raises="handler", package_teardown="sorry")
    story.levels[1].errors = {
        LookupError: lambda was, error: f"looked up: {error}",
        Exception: lambda was, error: "anything",
    }

    assert story.run() == "looked up: 'lost'"
    assert story.was.response.status == 500


def test_errorhandler_of_a_status() -> None:
    """The app's for what the package has none for."""
    story = Story(raises="handler", error=HttpError(404, "no such company"))
    story.levels[0].errors = {404: lambda was, error: error.detail, 500: lambda was, error: "?"}

    assert story.run() == "no such company"
    assert story.was.response.status == 404


def test_errorhandler_500_takes_every_exception() -> None:
    """Those that have no status."""
    story = Story(raises="app_after")
    story.levels[0].errors = {500: lambda was, error: repr(error)}

    assert story.run() == "KeyError('lost')"


def test_async_hooks_are_awaited() -> None:
    """Plain and async ones may be mixed."""

    async def before(was: Any) -> str:
        await asyncio.sleep(0)
        return "from the loop"

    hooks = Hooks()
    hooks.before.append(before)
    was = Story().was
    assert follow(course(was, (hooks,), lambda: "page"), asyncio.run) == "from the loop"
    assert asyncio.run(follow_async(course(was, (hooks,), lambda: "page"))) == "from the loop"


def test_exit_is_not_for_hooks() -> None:
    """SystemExit and the like pass by."""
    hooks = Hooks()
    hooks.teardown.append(lambda was: "sorry")

    def leave() -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        follow(course(None, (hooks,), leave), asyncio.run)
