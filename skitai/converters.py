"""The types a rule may name: `<int:id>`, `<float:x>`, `<path:p>`; `<name>` is a string."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec


class Converter(msgspec.Struct, frozen=True):
    """pattern: what the decoded text must look like; convert: text to value."""

    pattern: str
    convert: Callable[[str], Any]


CONVERTERS = {
    "int": Converter("[0-9]+", int),
    "float": Converter(r"[0-9]+(?:\.[0-9]+)?", float),
    "path": Converter(".+", str),
    "string": Converter("[^/]+", str),
}
