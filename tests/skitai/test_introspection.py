"""What clients may ask about the methods of a server."""

from __future__ import annotations

import functools
from datetime import datetime
from typing import Any

import pytest

from skitai.app import Application
from skitai.errors import RpcFault
from skitai.introspection import OWN, UNDEFINED, answer, signatures
from skitai.routing import Handler, read_signature
from skitai.table import Found, Table
from skitai.wire import xmlrpc


class Methods:
    """Those of one app at the root."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._table = Table(app)

    def find(self, name: str) -> Found | None:
        match = self._table.match("/" + name.replace(".", "/"), "POST")
        if not isinstance(match, tuple):
            return None
        entry, params = match
        return Found(self._app, entry.route, params, entry.levels, "", self._table)

    def names(self) -> list[str]:
        names = (entry.route.rule.strip("/").replace("/", ".") for entry in self._table.exact())
        return sorted(name for name in names if self.find(name))


app = Application("webapp")


@app.route("/add")
def add(was: Any, a: int, b: int = 0) -> int:
    """Add two numbers.

    The second one
    may be left out.
    """
    return a + b


@app.route("/number/<int:number>")
def number(was: Any, number: int, unit: str) -> str:
    return f"{number} {unit}"


@app.route("/page", methods=["GET"])
def page(was: Any) -> str:
    return "a page"


app.add_route("/system/listMethods", lambda was: "an app's own")


def ask(own: str, *args: Any, **kwargs: Any) -> Any:
    return answer(Methods(app), f"system.{own}", args, kwargs)


def test_names_of_methods() -> None:
    """Those of the apps that a POST reaches, and the server's own, which no app takes over."""
    assert ask("listMethods") == ["add", *sorted(OWN)]


def test_help_is_the_docstring() -> None:
    """Its indentation removed; nothing where there is none."""
    assert ask("methodHelp", "add") == "Add two numbers.\n\nThe second one\nmay be left out."
    assert ask("methodHelp", "number.5") == ""


def test_signatures_of_methods() -> None:
    """The result first; one more for each argument that may be left out."""
    assert ask("methodSignature", "add") == [["int", "int"], ["int", "int", "int"]]
    assert ask("methodSignature", "number.5") == [["string", "string"]]


@pytest.mark.parametrize("own", sorted(OWN))
def test_own_methods_are_described_too(own: str) -> None:
    """Clients that ask about all methods ask about these."""
    ((result, *rest),) = ask("methodSignature", own)

    assert {result, *rest} <= {"array", "string", "struct"}
    assert ask("methodHelp", own).endswith(".")


def test_capabilities() -> None:
    """Where each feature is described, and in which version."""
    for feature in ask("getCapabilities").values():
        assert feature.keys() == {"specUrl", "specVersion"}
        assert feature["specUrl"].startswith("http")
        assert isinstance(feature["specVersion"], int)
    assert {"xmlrpc", "introspection", "nil"} <= ask("getCapabilities").keys()


@pytest.mark.parametrize("method", ["methodHelp", "methodSignature"])
@pytest.mark.parametrize("name", ["none", "", "page"])
def test_unknown_method(method: str, name: str) -> None:
    """The same fault as when it is called."""
    with pytest.raises(RpcFault, match=f"there is no method {name}"):
        ask(method, name)


@pytest.mark.parametrize(
    ("method", "args", "kwargs"),
    [
        ("listMethods", (1,), {}),
        ("getCapabilities", ("a",), {}),
        ("methodHelp", (), {}),
        ("methodHelp", ("add", "add"), {}),
        ("methodSignature", (5,), {}),
        ("methodSignature", (), {"method": "add"}),
    ],
)
def test_wrong_arguments(method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """They are told what it takes."""
    with pytest.raises(
        RpcFault, match=f"system.{method} takes (no arguments|the name of a method)"
    ):
        ask(method, *args, **kwargs)


def known(handler: Handler, **given: Any) -> list[list[str]]:
    return signatures(handler, read_signature(handler, "a test"), given)


def test_types() -> None:
    """Each type of Python that XML-RPC has a form for, with what is in it left out."""

    def handler(
        was: Any,
        a: bool,
        b: float,
        c: bytes,
        d: datetime,
        e: list[int],
        f: dict[str, Any],
        g: tuple[int, ...],
    ) -> None:
        pass

    assert known(handler) == [
        ["nil", "boolean", "double", "base64", "dateTime.iso8601", "array", "struct", "array"]
    ]


def unannotated(was, a):  # type: ignore[no-untyped-def]
    pass


def without_result(was: Any, a: int):  # type: ignore[no-untyped-def]
    pass


def one_of_two(was: Any, a: int | str) -> int:
    return 1


def anything(was: Any, a: Any) -> int:
    return 1


def unresolved(was: Any, a: Nowhere) -> int:  # type: ignore[name-defined]  # noqa: F821
    return 1


def many(was: Any, *a: int) -> int:
    return 1


def named_only(was: Any, *, a: int) -> int:
    return 1


@pytest.mark.parametrize(
    "handler",
    [
        unannotated,
        without_result,
        one_of_two,
        anything,
        unresolved,
        many,
        named_only,
        functools.partial(add, b=1),
    ],
)
def test_what_is_not_known(handler: Handler) -> None:
    """No signature rather than a wrong one."""
    assert known(handler) == []


def test_signature_that_is_not_known() -> None:
    """The convention's word for it, which is no array."""
    other = Application("other")
    other.add_route("/a", unannotated)

    assert answer(Methods(other), "system.methodSignature", ("a",), {}) == UNDEFINED == "undef"


def test_help_that_xml_cannot_carry() -> None:
    """A slip in a docstring must not cost its method the whole help."""

    def handler(was: Any) -> str:
        "a word\b"
        return ""

    other = Application("other")
    other.add_route("/a", handler)
    text = answer(Methods(other), "system.methodHelp", ("a",), {})

    assert xmlrpc.load_response(xmlrpc.dump_value(text)) == "a word?"
