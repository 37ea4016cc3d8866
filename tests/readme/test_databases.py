"""PostgreSQL: connecting, Map-Filter-Reduce, Load-Balancing, Caching."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from postgres import Postgres
from readme_apps import Serve
from served import Server

CITIES = [
    ("Fairfax", 23478),
    ("Boston", 655884),
    ("Austin", 885400),
    ("Salem", 42544),
]


@pytest.fixture
def names(postgres: Postgres) -> Iterator[list[str]]:
    """Two databases with two cities each."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                postgres.database(
                    "CREATE TABLE CITIES (name text, population int)",
                    f"INSERT INTO CITIES VALUES {', '.join(map(str, CITIES[start : start + 2]))}",
                    "CREATE TABLE weather (city text, temp_lo int)",
                    "INSERT INTO weather SELECT 'San Francisco', n FROM generate_series(1, 20) n",
                )
            )
            for start in (0, 2)
        ]


@pytest.fixture
def server(serve: Serve, postgres: Postgres, names: list[str]) -> Server:
    members = ",".join(postgres.member(name) for name in names)
    sections = f"[@mydb]\ntype = postresql\nmembers = {members}\n"
    sections += f"[@mydbs]\ntype = posgresql\nmembers = {members}\n"
    return serve("/ = {app}/databases", sections=sections, more="num_result_cache_max = 2000")


def test_map_reduce_of_the_first_page(server: Server) -> None:
    """All rows of all databases, a list for each."""
    told = server.get("/query?keyword=Fairfax").json()
    assert told == [
        [{"name": name, "population": population} for name, population in CITIES[:2]],
        [{"name": name, "population": population} for name, population in CITIES[2:]],
    ]


def test_connect(server: Server, postgres: Postgres, names: list[str]) -> None:
    """Rows look like dicts, and ten of them are taken."""
    told = server.get(f"/test/db?server={postgres.server}&dbname={names[0]}").text
    assert told.startswith("[{'city': 'San Francisco', 'temp_lo': 1}, ")
    assert told.count("San Francisco") == 10


def test_top_city(server: Server) -> None:
    """The largest of all databases."""
    assert server.get("/test/map").json() == ["Austin", 885400]


def test_map_filter_reduce_of_databases(server: Server) -> None:
    """The filter leaves the large ones."""
    assert server.get("/test/filter").json() == [["Austin", 885400], ["Boston", 655884]]


def test_load_balancing_of_databases(server: Server) -> None:
    """One of the databases answers."""
    (first, second) = server.get("/test/lb").json()
    assert (first["name"], second["name"]) in (("Fairfax", "Boston"), ("Austin", "Salem"))


def test_caching_of_databases(server: Server) -> None:
    """The second time nobody is asked."""
    assert [server.get("/test/cache").json()[0] for _ in range(2)] == [False, True]
