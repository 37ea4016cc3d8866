"""Statements made ready: placeholders, and what may be sent twice. Pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitai.errors import WrongUse
from skitai.sql import PARAMS_MAX, shape_of, statement


@pytest.mark.parametrize(
    ("text", "numbered", "names"),
    [
        ("SELECT %s, %s", b"SELECT $1, $2", None),
        ("SELECT %(a)s, %(b)s, %(a)s", b"SELECT $1, $2, $1", ("a", "b")),
        ("SELECT 'a%%' LIKE %s", b"SELECT 'a%' LIKE $1", None),
        ("SELECT %b, %t", b"SELECT $1, $2", None),
        ("SELECT 'é', %s", "SELECT 'é', $1".encode(), None),
    ],
)
def test_placeholders_are_numbered(
    text: str, numbered: bytes, names: tuple[str, ...] | None
) -> None:
    """By position, or by name with one number for each name."""
    shape = shape_of(text)
    assert (shape.text, shape.names) == (numbered, names)


@given(st.text(st.characters(exclude_characters="%\0", exclude_categories=["Cs"])))
def test_text_without_percent_signs_stays(text: str) -> None:
    """With parameters or without."""
    assert statement(text, ()).text == statement(text, None).text == text.encode()


def test_more_parameters_than_the_protocol_counts_are_refused() -> None:
    """Before they are sent: it would look like a server that cannot be reached."""

    def made(count: int) -> int:
        return len(statement(f"SELECT {'%s,' * (count - 1)}%s", (1,) * count).params)

    assert made(PARAMS_MAX) == PARAMS_MAX == 65535
    with pytest.raises(WrongUse, match=r"^65536 parameters; PostgreSQL takes 65535 at most$"):
        made(PARAMS_MAX + 1)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_values_are_never_in_the_text(value: str) -> None:
    """Whatever they hold."""
    made = statement("SELECT %s", (value,))
    assert (made.text, made.params) == (b"SELECT $1", (value.encode(),))


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "  select name from cities",
        "-- a comment\nSELECT 1",
        "/* a comment */ (SELECT 1)",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "TABLE cities",
        "VALUES (1)",
        "SHOW timezone",
        "EXPLAIN SELECT 1",
    ],
)
def test_reads_may_be_sent_again(text: str) -> None:
    """They change nothing; not so with write=True."""
    assert statement(text, None).idempotent
    assert not statement(text, None, is_write=True).idempotent


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO cities VALUES (1)",
        "UPDATE cities SET name = 'x'",
        "WITH a AS (DELETE FROM cities RETURNING *) SELECT * FROM a",
        "SELECT * INTO copy FROM cities",
        "SELECT * FROM cities FOR UPDATE",
        "SELECT * FROM cities FOR SHARE",
        "EXPLAIN ANALYZE DELETE FROM cities",
        "BEGIN",
        "CALL charge()",
        "SELECT 1; DROP TABLE cities",
        "",
    ],
)
def test_writes_may_not(text: str) -> None:
    """Nor what may be one."""
    assert not statement(text, None).idempotent
