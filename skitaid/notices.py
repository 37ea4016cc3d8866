"""What a conf asks for and this version does not do yet. Said by `check` and at every start."""

from __future__ import annotations

from collections.abc import Iterator

from skitaid.supervisor.settings import Settings


def notices(settings: Settings) -> list[str]:
    """One sentence for each; none if all that the conf asks for is there."""
    return list(_notices(settings))


def _notices(settings: Settings) -> Iterator[str]:
    inner = settings.worker
    if inner.admin_password:
        yield "admin_password: there are no admin pages yet"
