"""What counts as a stream, what its pieces are, and that it is let go once."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from skitai.stream import FILE_PIECE, BadPiece, Stream, of


def stream_of(value: object) -> Stream:
    stream = of(value)
    assert stream is not None
    return stream


def pieces(stream: Stream) -> list[bytes]:
    """To the end of a plain one."""
    assert not stream.is_async
    return list(iter(stream.next, b""))


async def apieces(stream: Stream) -> list[bytes]:
    """To the end of an async one."""
    assert stream.is_async
    found = []
    while piece := await stream.anext():
        found.append(piece)
    return found


class Producer:
    """The specification's: `more`, `close` and `abort`; notes what is called."""

    def __init__(self, *pieces: Any) -> None:
        self.pieces = list(pieces)
        self.calls: list[str] = []

    def more(self) -> Any:
        return self.pieces.pop(0)

    def close(self) -> None:
        self.calls.append("close")

    def abort(self) -> None:
        self.calls.append("abort")


# What is none


@pytest.mark.parametrize(
    "value",
    ["text", b"bytes", {"more": len}, ["a"], ("a",), None, 1, {"a"}, {}.keys(), range(3), print],
)
def test_what_is_whole_is_no_stream(value: object) -> None:
    """Lists stay JSON, text is not taken apart, and a collection is no iterator."""
    assert of(value) is None


def test_a_generator_function_that_was_not_called_is_no_stream() -> None:
    """The handler's author is told, instead of a client."""

    def rows() -> Iterator[str]:
        yield "row"

    assert of(rows) is None


def test_more_must_be_callable() -> None:
    """An attribute of that name says nothing."""

    class Page:
        more = True

    assert of(Page()) is None


# Bad pieces


@pytest.mark.parametrize("piece", [None, 7, ["a"], {"a": 1}])
def test_a_piece_of_another_type_is_named(piece: object) -> None:
    """Even an empty or false one."""
    stream = stream_of(iter(["a", piece]))
    assert stream.next() == b"a"
    with pytest.raises(BadPiece, match=f"gave a piece of type {type(piece).__name__}; "):
        stream.next()


def test_more_gives_a_bad_piece() -> None:
    """A zero is not the end."""
    stream = stream_of(Producer("a", 0))
    assert stream.next() == b"a"
    with pytest.raises(BadPiece, match="type int"):
        stream.next()


def test_an_async_piece_of_another_type_is_named() -> None:
    """As of a plain stream."""

    async def numbers() -> AsyncIterator[int]:
        yield 1

    with pytest.raises(BadPiece, match="type int"):
        asyncio.run(apieces(stream_of(numbers())))


def test_what_the_producer_raises_comes_through() -> None:
    """It is for the server to log."""

    def rows() -> Iterator[str]:
        yield "row"
        raise LookupError("the table is gone")

    stream = stream_of(rows())
    assert stream.next() == b"row"
    with pytest.raises(LookupError, match="the table is gone"):
        stream.next()


# Pieces


def test_text_is_utf_8_and_all_kinds_of_bytes_are_bytes() -> None:
    """Piece by piece, in one stream."""
    given = ["\u20ac", b"b", bytearray(b"c"), memoryview(b"d")]
    assert pieces(stream_of(iter(given))) == ["\u20ac".encode(), b"b", b"c", b"d"]


def test_an_empty_piece_of_an_iterator_is_skipped() -> None:
    """Templates give some; they are not the end."""
    assert pieces(stream_of(iter(["", "a", b"", "b", ""]))) == [b"a", b"b"]


def test_an_iterator_of_empty_pieces_stops_when_nobody_wants_it() -> None:
    """It would never come back otherwise."""

    def nothing() -> Iterator[str]:
        yield ""
        stream.is_unwanted = True
        while True:
            yield ""

    stream = stream_of(nothing())
    assert stream.next() == b""


@pytest.mark.parametrize("last", ["", b"", None])
def test_more_ends_at_its_first_empty_piece(last: object) -> None:
    """It is not asked again."""
    producer = Producer("a", b"b", last, "never")
    stream = stream_of(producer)
    assert pieces(stream) == [b"a", b"b"]
    assert stream.next() == b""
    assert producer.pieces == ["never"]


def test_more_comes_before_everything_else_that_an_object_can() -> None:
    """Who writes it means it."""

    class Lines(io.BytesIO):
        def more(self) -> bytes:
            return self.readline()

    assert pieces(stream_of(Lines(b"a\nb\n"))) == [b"a\n", b"b\n"]


def test_async_pieces() -> None:
    """Of a generator; the empty ones are skipped."""

    async def events() -> AsyncIterator[str | bytes]:
        yield "a"
        yield ""
        await asyncio.sleep(0)
        yield b"b"

    assert asyncio.run(apieces(stream_of(events()))) == [b"a", b"b"]


def test_an_async_file_is_an_async_stream() -> None:
    """Although it has `read`, which would give a coroutine."""

    class AsyncFile:
        def __aiter__(self) -> AsyncFile:
            return self

        async def __anext__(self) -> bytes:
            raise StopAsyncIteration

        async def read(self, size: int) -> bytes:
            return b""

    assert stream_of(AsyncFile()).is_async


# Files


def test_a_file_has_a_length_and_comes_in_large_pieces(tmp_path: Path) -> None:
    """Counted from where it stands."""
    content = os.urandom(FILE_PIECE + 1000)
    path = tmp_path / "file"
    path.write_bytes(content)
    with path.open("rb") as file:
        file.seek(10)
        stream = stream_of(file)
        assert stream.length == len(content) - 10
        got = pieces(stream)
    assert b"".join(got) == content[10:]
    assert max(map(len, got)) <= FILE_PIECE


def test_an_unbuffered_file_has_a_length_too(tmp_path: Path) -> None:
    """It is read as well."""
    (tmp_path / "file").write_bytes(b"content")
    with (tmp_path / "file").open("rb", buffering=0) as file:
        stream = stream_of(file)
        assert (stream.length, pieces(stream)) == (7, [b"content"])


def test_a_file_that_grows_gives_no_more_than_its_length(tmp_path: Path) -> None:
    """The length was promised to the client."""
    path = tmp_path / "log"
    path.write_bytes(b"line\n")
    with path.open("rb") as file:
        stream = stream_of(file)
        with path.open("ab") as writer:
            writer.write(b"another\n")
        assert pieces(stream) == [b"line\n"]


def test_a_compressed_file_has_no_length(tmp_path: Path) -> None:
    """Its descriptor tells the size of something else."""
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(b"x" * 10_000))
    with gzip.open(path) as file:
        stream = stream_of(file)
        assert stream.length is None
        assert b"".join(pieces(stream)) == b"x" * 10_000


def test_a_text_file_is_sent_as_utf_8(tmp_path: Path) -> None:
    """Whatever it is encoded in, so its size is not the length."""
    path = tmp_path / "file.txt"
    path.write_text("\u20ac", encoding="utf-16")
    with path.open(encoding="utf-16") as file:
        stream = stream_of(file)
        assert (stream.length, pieces(stream)) == (None, ["\u20ac".encode()])


def test_a_pipe_gives_what_is_there() -> None:
    """It is not waited for until it fills a piece."""
    reader, writer = os.pipe()
    with open(reader, "rb") as file:
        os.write(writer, b"one")
        stream = stream_of(file)
        assert (stream.length, stream.next()) == (None, b"one")
        os.close(writer)
        assert stream.next() == b""


def test_files_of_proc_are_not_taken_for_empty() -> None:
    """The kernel gives them no size."""
    with open("/proc/self/status", "rb") as file:
        stream = stream_of(file)
        assert stream.length is None
        assert stream.next().startswith(b"Name:")


def test_a_file_in_memory() -> None:
    """Has no descriptor to ask."""
    assert pieces(stream_of(io.BytesIO(b"content"))) == [b"content"]
    assert pieces(stream_of(io.StringIO("content"))) == [b"content"]


# Letting go


def test_after_the_last_piece_comes_close() -> None:
    """Once, and no abort after it."""
    producer = Producer("")
    stream = stream_of(producer)
    pieces(stream)
    stream.end()
    stream.end()
    stream.abort()
    assert producer.calls == ["close"]
    assert stream.is_over


def test_before_the_last_piece_comes_abort() -> None:
    """Once, and no close after it."""
    producer = Producer("a")
    stream = stream_of(producer)
    stream.abort()
    stream.abort()
    stream.end()
    assert producer.calls == ["abort"]


def test_an_end_that_nobody_wants_is_an_abort() -> None:
    """Its client left while the last piece was made."""
    producer = Producer("")
    stream = stream_of(producer)
    pieces(stream)
    stream.is_unwanted = True
    stream.end()
    assert producer.calls == ["abort"]


def test_close_stands_in_for_an_abort_that_is_missing() -> None:
    """Once too; and neither need be there."""

    class Closable:
        closed = 0

        def more(self) -> str:
            return "a"

        def close(self) -> None:
            self.closed += 1

    class Bare:
        def more(self) -> str:
            return "a"

    producer = Closable()
    stream = stream_of(producer)
    stream.abort()
    stream.end()
    assert producer.closed == 1
    stream_of(Bare()).abort()
    stream_of(Bare()).end()


def test_an_abort_that_raises_was_called_all_the_same() -> None:
    """There is no second try."""

    class Broken:
        calls = 0

        def more(self) -> str:
            return "a"

        def abort(self) -> None:
            self.calls += 1
            raise OSError("no")

    producer = Broken()
    stream = stream_of(producer)
    with pytest.raises(OSError, match="no"):
        stream.abort()
    stream.abort()
    assert producer.calls == 1


def test_a_generator_runs_its_finally() -> None:
    """That is how it learns that its client has left."""
    ended = []

    def rows() -> Iterator[str]:
        try:
            while True:
                yield "row"
        finally:
            ended.append(True)

    stream = stream_of(rows())
    stream.next()
    stream.abort()
    assert ended == [True]


def test_an_async_generator_runs_its_finally() -> None:
    """It may await there."""
    ended = []

    async def events() -> AsyncIterator[str]:
        try:
            while True:
                yield "event"
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    async def leave() -> None:
        stream = stream_of(events())
        await stream.anext()
        await stream.aclose()
        await stream.aclose()

    asyncio.run(leave())
    assert ended == [True]


def test_a_file_is_closed_either_way(tmp_path: Path) -> None:
    """And an iterator that has no close needs none."""
    (tmp_path / "file").write_bytes(b"content")
    for let_go in (Stream.end, Stream.abort):
        file = (tmp_path / "file").open("rb")
        let_go(stream_of(file))
        assert file.closed
        let_go(stream_of(iter(["a"])))
