"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from operator_session import Home
from postgres import Postgres, common, stop_common

# Servers are started by the hundred, and by workers of xdist that collect everything: who works
# without bytecode would compile it all in each of them, which is most of what a start costs.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A busy machine is no defect, and what has failed once must fail again.
settings.register_profile("skitai", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("skitai")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home of its own for one test; whatever it started is stopped and must be gone."""
    home = Home(tmp_path)
    try:
        yield home
    finally:
        home.close()


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home for all tests of a file, for servers that no test of it changes."""
    home = Home(tmp_path_factory.mktemp("home"))
    try:
        yield home
    finally:
        home.close()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Postgres:
    """A PostgreSQL that all tests of a run share, each file with a database of its own."""
    base = tmp_path_factory.getbasetemp()
    is_one_of_many = hasattr(request.config, "workerinput")
    return common(base.parent if is_one_of_many else base)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Once for all processes of the run."""
    if not hasattr(session.config, "workerinput"):
        stop_common(session.config._tmp_path_factory.getbasetemp())  # type: ignore[attr-defined]
