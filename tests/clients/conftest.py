"""Fixtures of the asking side's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fault_server import FaultServer


@pytest.fixture
def faults() -> Iterator[FaultServer]:
    """A fault server of the test's own."""
    with FaultServer() as server:
        yield server
