"""application/x-www-form-urlencoded, for query strings and forms, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

FIELDS_MAX = 1000  # as many as Django allows; more is no form a person filled in


def load(text: str, into: dict[str, Any]) -> None:
    """Add the fields of `text` to `into`; a name that comes again becomes a list, in order.

    Percent and plus are decoded, as UTF-8; empty pieces are skipped, a field without `=` is "".
    Raises ValueError when there are more than `FIELDS_MAX` fields or the text is not UTF-8.
    """
    for name, value in parse_qsl(
        text, keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX
    ):
        add(into, name, value)


def add(into: dict[str, Any], name: str, value: Any) -> None:
    """Set `into[name]`, or make a list of what is there and `value`."""
    if name not in into:
        into[name] = value
    elif isinstance(into[name], list):
        into[name].append(value)
    else:
        into[name] = [into[name], value]


def dump(fields: Mapping[str, Any]) -> bytes:
    """`fields` as a form body; a list or tuple gives its name several times."""
    return urlencode(fields, doseq=True).encode("ascii")
