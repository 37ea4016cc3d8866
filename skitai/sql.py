"""Statements: what an app writes, made ready for the wire. Pure, on the thread that asks.

Placeholders are those of psycopg: `%s` and `%(name)s`, with `%%` for a percent sign; without
parameters the text goes out as it is. Values are always bound, never put into the text. What they
are in PostgreSQL is what psycopg makes of them; what an app registers with psycopg (types of its
own, enums) works here too.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import psycopg
from psycopg.abc import Transformer as TransformerLike
from psycopg.adapt import PyFormat, Transformer

from skitai.engine import Sql
from skitai.errors import WrongUse

Params = Sequence[Any] | Mapping[str, Any] | None

PARAMS_MAX = 65535
KEPT = 512  # statements whose placeholders are known; of more, those go that were not used lately
LONGEST_KEPT = 8192  # characters; a longer one is made up by a program, and will not come again

_PLACEHOLDER = re.compile(rb"%(?:\(([^)]*)\))?(.?)", re.DOTALL)
_FORMATS = {b"s": PyFormat.AUTO, b"t": PyFormat.TEXT, b"b": PyFormat.BINARY}
_COMMENT = r"(?:--[^\n]*\n|/\*.*?\*/|[\s(])*+"  # possessive, or many comments take for ever
_READS = re.compile(_COMMENT + r"(?:SELECT|TABLE|VALUES|SHOW|WITH|EXPLAIN)\b", re.I | re.DOTALL)
_WRITES = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE|INTO|SHARE|ANALYZE)\b", re.I)

_threads = threading.local()


class Shape(NamedTuple):
    """A statement with its placeholders numbered.

    names: of the parameters, by their numbers; None if they go by position.
    """

    text: bytes
    formats: tuple[PyFormat, ...]
    names: tuple[str, ...] | None


def statement(text: str, params: Params, *, is_write: bool = False, request: Any = None) -> Sql:
    """A statement to be sent. request: for whom, as reports name it.

    Raises WrongUse for parameters that do not fit, or a value that PostgreSQL cannot be given.
    """
    is_read = not is_write and _is_read(text)
    if params is None:
        return Sql(_bytes(text), None, (), (), is_read, request, text)
    shape = shape_of(text) if len(text) <= LONGEST_KEPT else shape_of.__wrapped__(text)
    values = _values(shape, params)
    if len(values) > PARAMS_MAX:  # libpq refuses it, which would look like a broken connection
        raise WrongUse(f"{len(values)} parameters; PostgreSQL takes {PARAMS_MAX} at most")
    transformer = transformer_of_thread()
    try:
        dumped = transformer.dump_sequence(values, shape.formats)
    except psycopg.Error as error:
        raise WrongUse(f"a parameter cannot be sent to PostgreSQL: {error}") from None
    return Sql(
        shape.text,
        tuple([None if each is None else bytes(each) for each in dumped]),
        tuple(transformer.types or ()),
        tuple(map(int, transformer.formats or ())),
        is_read,
        request,
        text,
    )


@lru_cache(KEPT)
def shape_of(text: str) -> Shape:
    """Raises WrongUse for a placeholder that is none."""
    formats: list[PyFormat] = []
    names: list[str] = []
    numbers: dict[str, int] = {}
    by_position = 0

    def number(found: re.Match[bytes]) -> bytes:
        nonlocal by_position
        name, kind = found[1], found[2]
        if kind == b"%" and name is None:
            return b"%"
        if kind not in _FORMATS:
            raise WrongUse(
                f"{found[0].decode()!r} is no placeholder; with parameters a percent sign is"
                " written %%, and a placeholder %s or %(name)s"
            )
        if name is None:
            by_position += 1
            formats.append(_FORMATS[kind])
            return b"$%d" % by_position
        key = name.decode()
        if key not in numbers:
            numbers[key] = len(names) + 1
            names.append(key)
            formats.append(_FORMATS[kind])
        return b"$%d" % numbers[key]

    numbered = _PLACEHOLDER.sub(number, _bytes(text))
    if by_position and names:
        raise WrongUse("a statement has either %s or %(name)s as placeholders, this one has both")
    return Shape(numbered, tuple(formats), tuple(names) if names else None)


def transformer_of_thread() -> TransformerLike:
    """What knows how values are written and read: one for each thread, as it is not shared."""
    transformer: TransformerLike | None = getattr(_threads, "transformer", None)
    if transformer is None:
        transformer = _threads.transformer = Transformer(None)
    return transformer


def _values(shape: Shape, params: Sequence[Any] | Mapping[str, Any]) -> Sequence[Any]:
    if isinstance(params, Mapping):
        if shape.names is None and shape.formats:
            raise WrongUse("the placeholders are %s, which want a list or a tuple, not a dict")
        try:
            return [params[name] for name in shape.names or ()]
        except KeyError as error:
            raise WrongUse(f"the placeholder %({error.args[0]})s has no parameter") from None
    if isinstance(params, str | bytes) or not isinstance(params, Sequence):
        raise WrongUse(f"params is a {type(params).__name__}; for one value write (value,)")
    if shape.names is not None:
        raise WrongUse("the placeholders are %(name)s, which want a dict")
    if len(params) != len(shape.formats):
        raise WrongUse(
            f"the statement has {len(shape.formats)} placeholders, and {len(params)} parameters"
            " were given"
        )
    return params


@lru_cache(KEPT)
def _is_read(text: str) -> bool:
    """Whether it may be sent again elsewhere when nobody knows what has become of it."""
    if ";" in text.rstrip("; \n\t"):  # several statements, perhaps
        return False
    return _READS.match(text) is not None and _WRITES.search(text) is None


def _bytes(text: str) -> bytes:
    try:
        data = text.encode()
    except (AttributeError, UnicodeError):
        raise WrongUse("a statement is a str, without half surrogate pairs") from None
    if b"\0" in data:
        raise WrongUse("a statement has no zero bytes")
    return data
