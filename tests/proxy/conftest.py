"""Fixtures of the proxy's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from plain_member import PlainMember


@pytest.fixture(scope="module")
def shared_member() -> Iterator[PlainMember]:
    """A member for all tests of a file."""
    with PlainMember() as member:
        yield member


@pytest.fixture
def member(shared_member: PlainMember) -> PlainMember:
    """The same, without memory of the tests before."""
    shared_member.forget()
    return shared_member
