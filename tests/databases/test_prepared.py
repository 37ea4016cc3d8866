"""The book of prepared statements. Pure."""

from __future__ import annotations

from skitaid.workers.clients.pg_prepared import PREPARED_MAX, Key, Prepared


def test_the_one_not_used_for_longest_makes_room() -> None:
    """Names are never used twice."""
    book = Prepared()
    keys: list[Key] = [b"%d" % number for number in range(PREPARED_MAX)]
    names = [book.add(key) for key in keys]
    assert len(set(names)) == PREPARED_MAX
    assert book.name(keys[0]) == names[0]  # used just now
    assert book.surplus() == names[1]
    assert book.name(keys[1]) is None
    assert book.surplus() is None
    assert book.add(keys[1]) not in names


def test_a_forgotten_one_has_no_name() -> None:
    """Types of parameters make another statement."""
    book = Prepared()
    name = book.add((b"SELECT $1", (23,)))
    assert book.name((b"SELECT $1", (25,))) is None
    book.forget((b"SELECT $1", (23,)))
    assert book.name((b"SELECT $1", (23,))) is None
    assert name
