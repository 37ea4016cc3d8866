"""docs/reference/was.md has all that app authors are given, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from skitai.cookie import Cookies
from skitai.introspection import OWN
from skitai.request import Request
from skitai.response import Response
from skitai.session import Session
from skitai.was import WAS
from skitai.wasc import Wasc

REFERENCE = Path(__file__).parents[2] / "docs/reference/was.md"

# The server's own business.
INNER = {
    Request: {
        "answered_with", "asked", "began", "caller", "channel", "errand", "failures", "field",
        "fields", "id_bytes", "incoming", "is_given_up", "media_type", "member", "problem",
        "returned", "series", "start_anew", "started", "taken", "target", "upload",
    },
    Response: {"may_be_empty", "problem"},
    Cookies: {"fields"},
    Session: {"field"},
    Wasc: {"cleanup"},
}  # fmt: skip
# Registered by the worker, or set when it is made.
REGISTERED = {
    *("apps", "cachefs", "clusters", "httpserver", "lifetime", "logger", "queue", "rcache"),
    "threads",
}


def documented(heading: str) -> set[str]:
    """The names in the first columns of a section, without their arguments."""
    text = REFERENCE.read_text()
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?`) \|", section, re.MULTILINE)
    spans = [span for cell in cells for span in re.findall(r"`([^`]*)`", cell)]
    return {span.split(" ")[0] for span in spans if not re.search(r"\[|\bin\b", span)}


def public(of: type) -> set[str]:
    return {name for name in dir(of) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("heading", "of"),
    [
        ("was", WAS),
        ("was.request", Request),
        ("was.response", Response),
        ("was.cookie", Cookies),
        ("was.session", Session),
        ("wasc", Wasc),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_name_has_its_row(heading: str, of: type) -> None:
    """And each row has its name."""
    names = public(of) - INNER.get(of, set())

    assert documented(heading) == names | (REGISTERED if of is WAS else set())


def test_every_inner_name_is_one() -> None:
    """What has gone needs no excuse."""
    for of, names in INNER.items():
        assert names <= public(of)


def test_every_method_of_the_server_has_its_row() -> None:
    """Those whose names begin with system."""
    text = REFERENCE.read_text()

    assert set(re.findall(r"^\| `(system\.\w+)", text, re.MULTILINE)) == set(OWN)


def test_registered_names_are_annotated() -> None:
    """An editor knows them, though the worker brings them."""
    source = Path(__file__).parents[2] / "skitai/was.py"
    block = source.read_text().partition("if TYPE_CHECKING:  #")[2].partition("def __init__")[0]

    assert set(re.findall(r"^        (\w+): ", block, re.MULTILINE)) == REGISTERED
