"""The cookies of one client, as a browser keeps them (RFC 6265 section 5).

There is one host only, so Domain is not looked at; and Secure is not either, as browsers trust
localhost. A cookie whose time is over is not sent.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, MutableMapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import quote, unquote

_SECONDS = re.compile(r"-?[0-9]+")


class _Kept(NamedTuple):
    value: str  # as it is sent
    over: float | None  # epoch seconds; None: when the browser is closed


class Jar(MutableMapping[str, str]):
    """A dict of names and values, decoded as `was.cookie` has them.

        client.cookies["userid"] = "hans"
        assert "SESSION" in client.cookies

    What is set here is sent to all paths. Of several cookies of one name the one with the longest
    path counts.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], _Kept] = {}  # by name and path

    def keep(self, lines: Iterable[str], asked: str) -> None:
        """What the Set-Cookie fields of a response say. asked: the path of its request."""
        for line in lines:
            pair, *rest = line.split(";")
            name, _, value = pair.partition("=")
            attributes = {}
            for each in rest:
                key, _, text = each.partition("=")
                attributes[key.strip().lower()] = text.strip()
            path = attributes.get("path", "")
            if not path.startswith("/"):
                path = asked[: asked.rfind("/")] or "/"  # section 5.1.4
            self._put(name.strip(), path, _Kept(value.strip(), _over(attributes)))

    def _put(self, name: str, path: str, kept: _Kept) -> None:
        if kept.over is not None and kept.over <= time.time():
            self._kept.pop((name, path), None)
        else:
            self._kept[name, path] = kept

    def header(self, path: str) -> str:
        """The Cookie field of a request, "" for none; longer paths first (section 5.4)."""
        return "; ".join(
            f"{name}={kept.value}"
            for name, cookie_path, kept in self._all()
            if _is_for(cookie_path, path)
        )

    def _all(self) -> list[tuple[str, str, _Kept]]:
        now = time.time()
        alive = [
            (name, path, kept)
            for (name, path), kept in self._kept.items()
            if kept.over is None or now < kept.over
        ]
        return sorted(alive, key=lambda each: -len(each[1]))

    def __getitem__(self, name: str) -> str:
        for each, _, kept in self._all():
            if each == name:
                return unquote(kept.value)
        raise KeyError(name)

    def __setitem__(self, name: str, value: str) -> None:
        self._put(name, "/", _Kept(quote(value), None))

    def __delitem__(self, name: str) -> None:
        gone = [key for key in self._kept if key[0] == name]
        if not gone:
            raise KeyError(name)
        for key in gone:
            del self._kept[key]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for name, _, _ in self._all()))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Jar({dict(self)!r})"


def _over(attributes: dict[str, str]) -> float | None:
    """Max-Age counts if both are there (section 5.3); what cannot be read is not there."""
    if _SECONDS.fullmatch(attributes.get("max-age", "")):
        return time.time() + int(attributes["max-age"])
    try:
        return parsedate_to_datetime(attributes["expires"]).timestamp()
    except (KeyError, ValueError):
        return None


def _is_for(cookie_path: str, path: str) -> bool:
    """Section 5.1.4."""
    base = cookie_path.rstrip("/")
    return path == base or path.startswith(base + "/")
