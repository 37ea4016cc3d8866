"""Rules to routes: which paths a rule answers, which rules cannot be, what a handler accepts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitai.errors import RouteError
from skitai.routing import Router, Signature, compile_rule, path_of, read_signature


def anything(was: Any, **given: Any) -> None:
    """A handler that takes all."""


def match(rule: str, path: str) -> dict[str, Any] | None:
    return compile_rule(rule, anything).match(path)


@pytest.mark.parametrize(
    ("rule", "path", "values"),
    [
        ("/", "/", {}),
        ("/hello", "/hello", {}),
        ("/hello", "/hello/", None),
        ("/hello", "/Hello", None),
        ("/hello", "/hell", None),
        ("/hello", "/hello/x", None),
        ("/a.c", "/abc", None),
        ("/a.<x>", "/abc", None),
        ("/<name>", "/Skitai_Corp", {"name": "Skitai_Corp"}),
        ("/<name>", "/", None),
        ("/<name>", "/a/b", None),
        ("/<name>", "/a\nb", {"name": "a\nb"}),
        ("/<string:name>", "/a", {"name": "a"}),
        ("/<:name>", "/a", {"name": "a"}),
        ("/<int:n>", "/0123", {"n": 123}),
        ("/<int:n>", "/-1", None),
        ("/<int:n>", "/1a", None),
        ("/<int:n>", "/1\n", None),
        ("/<int:n>", "/\u0661", None),
        ("/<int:n>", "/" + "9" * 5000, None),
        ("/<float:x>", "/1.5", {"x": 1.5}),
        ("/<float:x>", "/2", {"x": 2.0}),
        ("/<float:x>", "/1.2.3", None),
        ("/<float:x>", "/.5", None),
        ("/<float:x>", "/nan", None),
        ("/<path:p>", "/a/b/c.txt", {"p": "a/b/c.txt"}),
        ("/<path:p>", "/", None),
        ("/f/<path:p>/end", "/f/a/end/b/end", {"p": "a/end/b"}),
        ("/<int:a>/<int:b>", "/5/555", {"a": 5, "b": 555}),
        ("/<a>-<b>.txt", "/x-y.txt", {"a": "x", "b": "y"}),
        ("/x/<a>", "/y/x/1", None),
    ],
)
def test_match(rule: str, path: str, values: dict[str, Any] | None) -> None:
    """A rule matches the whole path, case counts, and values have their types."""
    found = match(rule, path)

    assert found == values
    for name, value in (values or {}).items():
        assert found is not None
        assert type(found[name]) is type(value)


@given(st.text())
def test_no_path_makes_a_rule_fail(path: str) -> None:
    """Whatever a client asks for, a rule says yes or no."""
    for rule in ("/<a>", "/<int:a>", "/<float:a>", "/<path:a>", "/<path:a>/<int:b>", "/x"):
        match(rule, "/" + path)


@given(st.integers(min_value=0), st.text(st.characters(exclude_characters="/"), min_size=1))
def test_values_are_what_the_path_says(number: int, text: str) -> None:
    """Nothing is lost between the path and the handler."""
    assert match("/<int:n>/<text>", f"/{number}/{text}") == {"n": number, "text": text}


def no_argument() -> None: ...
def only_keywords(*, was: Any) -> None: ...
def nameless(was: Any, a: Any, /) -> None: ...
def wrapped(*given: Any, **more: Any) -> None: ...
def one_argument(was: Any, a: Any) -> None: ...


@pytest.mark.parametrize(
    ("rule", "handler", "words"),
    [
        ("hello", anything, 'a rule starts with "/"'),
        ("", anything, 'a rule starts with "/"'),
        ("/<integer:a>", anything, "unknown type integer; there are float, int, path, string"),
        ("/<a b>", anything, '"a b" cannot be the name of an argument'),
        ("/<>", anything, '"" cannot be the name'),
        ("/<int:>", anything, '"" cannot be the name'),
        ("/<a>/<int:a>", anything, "the parameter a is there twice"),
        ("/<a", anything, "a parameter is written <name> or <type:name>"),
        ("/<a>>", anything, "a parameter is written"),
        ("/<a:b:c>", anything, "a parameter is written"),
        ("/<b>", one_argument, "the handler has no argument b"),
        ("/", no_argument, "a handler takes was as its first argument"),
        ("/", only_keywords, "a handler takes was as its first argument"),
        (
            "/<a>",
            wrapped,
            "its *given; a decorator of your own wants functools.wraps",
        ),
        ("/", nameless, "arguments come by name"),
    ],
)
def test_rule_that_cannot_be(rule: str, handler: Callable[..., Any], words: str) -> None:
    """It is refused at import, with the rule and the handler."""
    with pytest.raises(RouteError) as raised:
        compile_rule(rule, handler)

    assert words in str(raised.value)
    assert f'@app.route("{rule}") on {__name__}.{handler.__name__}: ' in str(raised.value)


def test_callable_objects_may_be_handlers() -> None:
    """A partial has no name, which only matters for messages."""
    assert Router().add("/", partial(anything, more=1)).rule == "/"
    with pytest.raises(RouteError, match=r"functools\.partial"):
        compile_rule("x", partial(anything, more=1))


def test_exact_rule_is_taken_once() -> None:
    """The second could never answer; both handlers are named."""
    router = Router()
    router.add("/a", anything)
    with pytest.raises(RouteError, match=r"one_argument: .*anything has that rule"):
        router.add("/a", one_argument)


def test_one_rule_may_have_a_handler_for_each_method() -> None:
    """As long as no method has two."""
    router = Router()
    router.add("/a", anything, ["GET"])
    router.add("/a", one_argument, ["post"])
    with pytest.raises(RouteError, match="has that rule"):
        router.add("/a", anything, ["HEAD"])

    assert [sorted(each.methods) for each in router.routes()] == [["GET", "HEAD"], ["POST"]]


@pytest.mark.parametrize("timeout", [-1, "5", float("nan"), float("inf"), True])
def test_timeouts_that_are_none(timeout: Any) -> None:
    """Seconds are a number from 0 on."""
    with pytest.raises(RouteError, match="is not a number of seconds from 0 on"):
        compile_rule("/", anything, timeout=timeout)


@pytest.mark.parametrize("methods", ["GET", [], ["G ET"], [""]])
def test_methods_that_are_none(methods: Any) -> None:
    """A bare string would be a list of letters."""
    with pytest.raises(RouteError, match=r"methods is a list|is no method"):
        compile_rule("/", anything, methods)


@pytest.mark.parametrize(
    ("rule", "values", "path"),
    [
        ("/", {}, "/"),
        ("/a b", {}, "/a%20b"),
        (
            "/company/<int:cid>/<cname>",
            {"cid": 5, "cname": "Skitai Corp"},
            "/company/5/Skitai%20Corp",
        ),
        ("/<path:p>", {"p": "a/b/ü"}, "/a/b/%C3%BC"),
    ],
)
def test_path_of_a_route(rule: str, values: dict[str, Any], path: str) -> None:
    """It is the one at which the route answers with these values."""
    assert path_of(compile_rule(rule, anything), values) == path


@pytest.mark.parametrize(
    ("values", "words"),
    [({}, "a value for cid is missing"), ({"cid": "x"}, "'x' cannot be the value of cid")],
)
def test_path_that_cannot_be(values: dict[str, Any], words: str) -> None:
    """It would not come back to the handler."""
    with pytest.raises(RouteError, match=words):
        path_of(compile_rule("/<int:cid>", anything), values)


async def waits(was: Any) -> None:
    """An async handler."""


def test_async_handlers_are_known() -> None:
    """They run elsewhere."""
    assert compile_rule("/", waits).is_async
    assert not compile_rule("/", anything).is_async


# Signatures


def signature(handler: Callable[..., Any]) -> Signature:
    return read_signature(handler, "here")


def two(was: Any, a: Any, b: Any = 1) -> None: ...
def many(was: Any, a: Any, *more: Any) -> None: ...
def named(was: Any, *, key: Any, other: Any = 1) -> None: ...
def hidden(was: Any, /, **given: Any) -> None: ...


@pytest.mark.parametrize(
    ("handler", "given", "complaint"),
    [
        (two, {"a": 1}, None),
        (two, {"a": 1, "b": 2}, None),
        (two, {}, "the argument a is missing"),
        (two, {"b": 1}, "the argument a is missing"),
        (two, {"a": 1, "c": 1}, "the argument c is not expected"),
        (two, {"a": 1, "was": 1}, "the argument was is not expected"),
        (named, {}, "the argument key is missing"),
        (named, {"key": 1, "other": 2}, None),
        (many, {"a": 1}, None),
        (many, {"a": 1, "more": 1}, "the argument more is not expected"),
        (anything, {}, None),
        (anything, {"x": 1, "given": 2}, None),
        (anything, {"x": 1, "was": 2}, "the argument was is not expected"),
        (hidden, {"was": 1}, None),
    ],
)
def test_complaint(
    handler: Callable[..., Any], given: dict[str, Any], complaint: str | None
) -> None:
    """One sentence for what is missing or unexpected; without one the handler can be called."""
    assert signature(handler).complaint(given) == complaint
    if complaint is None:
        handler("was", **given)
    else:
        with pytest.raises(TypeError):
            handler("was", **given)


def test_first_missing_argument_is_named_first() -> None:
    """In the order of the handler, so that the answer is always the same."""

    def handler(was: Any, one: Any, two: Any, three: Any) -> None: ...

    assert signature(handler).complaint({}) == "the argument one is missing"
    assert signature(handler).complaint({"one": 1}) == "the argument two is missing"


@pytest.mark.parametrize(
    ("handler", "args", "kwargs", "complaint"),
    [
        (two, (1,), {}, None),
        (two, (1, 2), {}, None),
        (two, (1,), {"b": 2}, None),
        (two, (), {}, "the argument a is missing"),
        (two, (1, 2, 3), {}, "3 arguments were given, at most 2 are expected"),
        (two, (1,), {"a": 1}, "the argument a was given twice"),
        (two, (1,), {"c": 1}, "the argument c is not expected"),
        (many, (1, 2, 3), {}, None),
        (named, (1,), {"key": 1}, "1 arguments were given, at most 0 are expected"),
        (anything, (1,), {}, "1 arguments were given, at most 0 are expected"),
        (anything, (), {"was": 1}, "the argument was is not expected"),
    ],
)
def test_positional_complaint(
    handler: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], complaint: str
) -> None:
    """The same for calls with positions, as RPC makes them."""
    assert signature(handler).positional_complaint(len(args), kwargs) == complaint
    if complaint is None:
        handler("was", *args, **kwargs)
    else:
        with pytest.raises(TypeError):
            handler("was", *args, **kwargs)
