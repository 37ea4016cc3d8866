"""Path, query and form, as the arguments of a handler."""

from __future__ import annotations

from typing import Any

import pytest

from skitai.caller import Caller
from skitai.handling import merged
from skitai.request import FORM, Request


@pytest.mark.parametrize(
    ("query", "form", "params", "given"),
    [
        ("", "", {}, {}),
        ("a=1", "", {}, {"a": "1"}),
        ("", "", {"a": 5}, {"a": 5}),
        ("b=1", "c=2", {"a": 5}, {"a": 5, "b": "1", "c": "2"}),
        ("a=1", "", {"a": 5}, {"a": ["1", 5]}),
        ("a=1", "a=2", {"a": 5}, {"a": ["1", "2", 5]}),
        ("a=1&a=2", "a=3", {}, {"a": ["1", "2", "3"]}),
    ],
)
def test_merged(query: str, form: str, params: dict[str, Any], given: dict[str, Any]) -> None:
    """What comes several times is a list: query, then form, then path."""
    fields = [(b"content-type", FORM)]
    request = Request("POST", f"/?{query}".encode(), fields, form.encode(), "1.1", Caller(""))

    assert merged(request.args, params) == given


def test_request_keeps_its_own() -> None:
    """The path's values do not get into `request.args`, however often one asks."""
    request = Request("GET", b"/?a=1&b=1&b=2", [], b"", "1.1", Caller(""))
    for _ in range(2):
        assert merged(request.args, {"a": 5, "b": 6}) == {"a": ["1", 5], "b": ["1", "2", 6]}

    assert request.args == {"a": "1", "b": ["1", "2"]}
