"""Fixtures for tests with databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from db_ground import Place
from postgres import Postgres

CITIES = (
    "CREATE TABLE cities (id serial PRIMARY KEY, name text NOT NULL, population int)",
    "INSERT INTO cities (name, population) VALUES"
    " ('Fairfax', 23478), ('Boston', 655884), ('Austin', 885400)",
)


@pytest.fixture(scope="module")
def place(postgres: Postgres) -> Iterator[Place]:
    """A database for all tests of a file, with three cities."""
    with postgres.database(*CITIES) as name:
        yield Place(postgres.port, name)
