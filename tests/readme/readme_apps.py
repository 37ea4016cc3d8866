"""The README's apps, and who serves them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from served import Server

APPS = Path(__file__).parent / "apps"

Serve = Callable[..., Server]


def section(name: str, members: list[Server], *lines: str) -> str:
    """`[@name]` with those members."""
    listed = ",".join(f"127.0.0.1:{server.port}" for server in members)
    return "\n".join([f"[@{name}]", *lines, f"members = {listed}"])
