"""Files as clients get them: fields, parts, conditions, neighbours, and what memory holds of them.

Real files, a client without a network, and a clock set by hand for what is looked up now and then.
Large files and those that are compressed need a loop; they are in `test_files_served`.
"""

from __future__ import annotations

import email
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from fake_client import Answer, FakeClient

from skitai.request import Request
from skitaid.workers.settings import Settings, StaticRoute
from skitaid.workers.web import answers, file_cache, files
from skitaid.workers.web.connection import ClientConnection
from skitaid.workers.web.files import LOOK_EVERY, Files
from skitaid.workers.web.mounts import Mounts

TEXT = "0123456789"
MODIFIED = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT
ETAG = f'"{MODIFIED * 10**9:x}-a"'
FIELDS = {
    "content-type": "text/plain; charset=utf-8",
    "content-length": "10",
    "last-modified": "Sun, 06 Nov 1994 08:49:37 GMT",
    "etag": ETAG,
    "cache-control": "max-age=300",
    "x-content-type-options": "nosniff",
    "accept-ranges": "bytes",
}


class Served:
    """Directories, and a client of them; what is no file is a 404."""

    takes_connect = False

    def __init__(self, *directories: Path) -> None:
        routes = tuple(StaticRoute("/", str(each), "web.conf:1") for each in directories)
        self.client = FakeClient()
        loop = cast(Any, self.client.loop)
        self.tasks: list[Any] = []
        self.files = Files(loop, Mounts(routes, {}), Settings("test", routes), self.tasks.append)
        self.client.connection._site = self

    def handle(self, connection: ClientConnection, request: Request) -> None:
        request.path = request.uri.partition("?")[0]
        if not self.files.answer(connection, request):
            answers.error(connection, request, 404, "no file")

    def ask(self, path: str, method: str = "GET", version: str = "1.1", **fields: str) -> Answer:
        """Fields are written like if_match."""
        self.client.transport.written = b""
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        head = "\r\n".join([f"{method} {path} HTTP/{version}", "Host: a", *lines])
        self.client.send(f"{head}\r\n\r\n".encode())
        if method == "HEAD":
            assert self.client.transport.written.endswith(b"\r\n\r\n"), "a HEAD was given a body"
            self.client.transport.written = self.client.transport.written.replace(
                b"Content-Length", b"X-Length"
            )
        (answer,) = self.client.answers
        answer.fields.pop("server")
        answer.fields.pop("date")
        return answer

    @property
    def size(self) -> int:
        """Files in memory."""
        return len(self.files._cache)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory with a file of ten bytes."""
    directory = tmp_path / "root"
    directory.mkdir()
    write(directory / "a.txt", TEXT)
    return directory


@pytest.fixture
def remembering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are settled as soon as they are written; a test changes more than their times."""
    monkeypatch.setattr(file_cache, "SETTLED", 0.0)


def write(file: Path, text: str | bytes, modified: int = MODIFIED) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.utime(file, (modified, modified))


def refuse(*args: object) -> None:
    raise AssertionError("a file was opened that is in memory")


# What is sent


def test_a_file(root: Path) -> None:
    """Its type, its validators, how long it may be kept, and that parts can be asked for."""
    answer = Served(root).ask("/a.txt")
    assert (answer.status, answer.body) == (200, TEXT.encode())
    assert answer.fields == FIELDS


def test_head(root: Path) -> None:
    """The same header, no body, and no parts."""
    answer = Served(root).ask("/a.txt", "HEAD", range="bytes=0-1")
    length = answer.fields.pop("x-length")
    assert (answer.status, answer.fields | {"content-length": length}) == (200, FIELDS)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_client_that_leaves(root: Path, version: str) -> None:
    """It is told that the connection closes."""
    served = Served(root)
    answer = served.ask("/a.txt", version=version, connection="close")
    assert answer.fields == FIELDS | {"connection": "close"}
    assert served.client.is_closed


def test_an_empty_file(root: Path) -> None:
    """Is a file like any other; no part of it can be asked for."""
    write(root / "empty.txt", "")
    served = Served(root)
    for fields in ({}, {"range": "bytes=0-"}):
        answer = served.ask("/empty.txt", **fields)
        assert (answer.status, answer.fields["content-length"]) == (200, "0")


def test_a_file_from_the_future(root: Path) -> None:
    """Is as old as the answer (RFC 9110 section 8.8.2.1), and not kept in memory."""
    write(root / "a.txt", TEXT, 2**32)
    served = Served(root)
    answer = served.ask("/a.txt")
    assert not answer.fields["last-modified"].endswith("2106 06:28:16 GMT")
    assert served.size == 0


def test_a_directory_without_its_slash(root: Path) -> None:
    """Goes to where its index is, with its query."""
    write(root / "sub" / "index.html", "index")
    served = Served(root)
    answer = served.ask("/sub?a=b")
    assert (answer.status, answer.fields["location"]) == (301, "/sub/?a=b")
    assert served.ask("/sub/").body == b"index"


def test_a_file_of_the_second_directory(root: Path, tmp_path: Path, remembering: None) -> None:
    """Gives way at once to one in the first."""
    write(tmp_path / "second" / "b.txt", "second")
    served = Served(root, tmp_path / "second")
    assert served.ask("/b.txt").body == b"second"
    write(root / "b.txt", "first")
    assert served.ask("/b.txt").body == b"first"
    (root / "b.txt").unlink()
    assert served.ask("/b.txt").body == b"second"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_a_file_that_may_not_be_read(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The client is told nothing, the log what is wrong."""
    (root / "a.txt").chmod(0)
    assert Served(root).ask("/a.txt").status == 404
    assert "GET /a.txt: the file cannot be read: [Errno 13]" in caplog.text


def test_a_file_that_cannot_be_read_now(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is not missing: no cache may remember that."""
    served = Served(root)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        answer = served.ask("/a.txt")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert answer.status == 500
    assert "GET /a.txt: the file cannot be read: [Errno 24] Too many open files" in caplog.text
    assert served.ask("/a.txt").status == 200


def test_a_file_that_shrinks_while_it_is_read(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection breaks: the header has promised more."""
    opened = files.open_file

    def shrinking(*args: Any) -> Any:
        result = opened(*args)
        os.truncate(root / "a.txt", 4)
        return result

    monkeypatch.setattr(files, "open_file", shrinking)
    served = Served(root)
    served.client.send(b"GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (served.client.transport.written, served.client.transport.is_aborted) == (b"", True)
    assert "a.txt broke off while being sent: it is 6 bytes shorter" in caplog.text


# Conditions


def test_whoever_has_it_gets_no_other(root: Path) -> None:
    """304 repeats what a cache must know, and nothing that describes a body (section 15.4.5)."""
    for field in ({"if_none_match": ETAG}, {"if_modified_since": FIELDS["last-modified"]}):
        answer = Served(root).ask("/a.txt", **field)
        assert (answer.status, answer.body) == (304, b"")
        assert answer.fields == {"etag": ETAG, "cache-control": "max-age=300"}


def test_whoever_means_another_file_gets_none(root: Path) -> None:
    """412, also to a HEAD."""
    for method in ("GET", "HEAD"):
        answer = Served(root).ask("/a.txt", method, if_match='"other"')
        assert (answer.status, answer.fields["content-type"]) == (412, "text/html; charset=utf-8")
        assert "etag" not in answer.fields


# Parts


@pytest.mark.parametrize(
    ("value", "part", "place"),
    [("0-3", "0123", "0-3"), ("8-", "89", "8-9"), ("-3", "789", "7-9"), ("5-99", "56789", "5-9")],
)
def test_a_part(root: Path, value: str, part: str, place: str) -> None:
    """All the fields of the whole, and where the part stands."""
    answer = Served(root).ask("/a.txt", range=f"bytes={value}")
    assert (answer.status, answer.body) == (206, part.encode())
    length, where = str(len(part)), f"bytes {place}/10"
    assert answer.fields == FIELDS | {"content-length": length, "content-range": where}


def test_several_parts(root: Path) -> None:
    """As MIME has it; the parts have the file's type."""
    answer = Served(root).ask("/a.txt", range="bytes=0-1,-2")
    assert answer.status == 206
    assert "content-range" not in answer.fields
    kind = answer.fields["content-type"]
    message = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + answer.body)
    assert message.get_content_type() == "multipart/byteranges"
    parts = cast(Any, message.get_payload())
    assert [
        (part["Content-Type"], part["Content-Range"], part.get_payload()) for part in parts
    ] == [
        (FIELDS["content-type"], "bytes 0-1/10", "01"),
        (FIELDS["content-type"], "bytes 8-9/10", "89"),
    ]


def test_a_part_that_is_not_there(root: Path) -> None:
    """416 says how long the file is (section 15.5.17)."""
    answer = Served(root).ask("/a.txt", range="bytes=10-")
    assert (answer.status, answer.fields["content-range"]) == (416, "bytes */10")
    assert b"The file has 10 bytes." in answer.body


def test_the_rest_of_an_older_file_is_not_sent(root: Path) -> None:
    """A client that resumes says what it has the beginning of."""
    served = Served(root)
    assert served.ask("/a.txt", range="bytes=4-", if_range=ETAG).status == 206
    assert served.ask("/a.txt", range="bytes=4-", if_range='"older"').status == 200


def test_conditions_come_before_parts(root: Path) -> None:
    """Whoever has the whole needs no part (section 13.2.2)."""
    assert Served(root).ask("/a.txt", range="bytes=0-1", if_none_match=ETAG).status == 304


# Neighbours


def test_a_neighbour_in_a_coding(root: Path) -> None:
    """Is sent with the type of the file, an entity tag of its own, and word that this varies."""
    write(root / "a.css", "plain")
    write(root / "a.css.gz", "packed")
    write(root / "a.css.br", "pa")
    served = Served(root)
    answer = served.ask("/a.css", accept_encoding="gzip, deflate, br")
    assert answer.body == b"pa"
    assert answer.fields["content-encoding"] == "br"
    assert answer.fields["content-type"] == "text/css; charset=utf-8"
    assert answer.fields["vary"] == "Accept-Encoding"
    assert "accept-ranges" not in answer.fields
    assert served.ask("/a.css", accept_encoding="gzip").body == b"packed"

    plain = served.ask("/a.css")
    assert (plain.body, plain.fields["vary"]) == (b"plain", "Accept-Encoding")
    assert "content-encoding" not in plain.fields
    assert plain.fields["etag"] != answer.fields["etag"]


def test_conditions_are_about_what_would_be_sent(root: Path) -> None:
    """The entity tag of one coding is not that of another; a 304 says that it varies."""
    write(root / "a.css", "plain")
    write(root / "a.css.gz", "packed")
    served = Served(root)
    etag = served.ask("/a.css", accept_encoding="gzip").fields["etag"]
    answer = served.ask("/a.css", accept_encoding="gzip", if_none_match=etag)
    assert (answer.status, answer.fields["vary"]) == (304, "Accept-Encoding")
    assert served.ask("/a.css", if_none_match=etag).status == 200


def test_a_part_is_never_one_of_a_coding(root: Path) -> None:
    """Who asks for bytes 0 to 1 of a file gets those, and can put them together."""
    write(root / "a.css", "plain")
    write(root / "a.css.gz", "packed")
    answer = Served(root).ask("/a.css", accept_encoding="gzip", range="bytes=0-1")
    assert (answer.status, answer.body) == (206, b"pl")
    assert "content-encoding" not in answer.fields


def test_an_older_neighbour_is_none(root: Path) -> None:
    """It is of the file as it was."""
    write(root / "a.css", "plain")
    write(root / "a.css.gz", "packed", MODIFIED - 1)
    assert Served(root).ask("/a.css", accept_encoding="gzip").body == b"plain"


def test_a_packed_file_is_no_neighbour_of_one_that_is_no_text(root: Path) -> None:
    """`a.tar` and `a.tar.gz` are two files for whoever put them there."""
    write(root / "a.tar", "plain")
    write(root / "a.tar.gz", "packed")
    served = Served(root)
    answer = served.ask("/a.tar", accept_encoding="gzip")
    assert (answer.body, "vary" in answer.fields) == (b"plain", False)
    itself = served.ask("/a.tar.gz", accept_encoding="gzip")
    assert (itself.body, itself.fields["content-type"]) == (b"packed", "application/gzip")
    assert "content-encoding" not in itself.fields


@pytest.mark.parametrize("how", ["link out", "pipe", "directory"])
def test_a_neighbour_that_may_not_be_sent(
    root: Path, tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The file itself is sent instead, as if it were not there."""
    write(root / "a.css", "plain")
    neighbour = root / "a.css.gz"
    match how:
        case "link out":
            write(tmp_path / "outside" / "secret", "secret")
            neighbour.symlink_to("../outside/secret")
        case "pipe":
            os.mkfifo(neighbour)
        case "directory":
            neighbour.mkdir()
    answer = Served(root).ask("/a.css", accept_encoding="gzip")
    assert (answer.body, "vary" in answer.fields) == (b"plain", False)
    assert ("a.css.gz cannot be sent instead" in caplog.text) is (how == "link out")


# Memory


def test_the_second_time_nothing_is_opened(
    root: Path, remembering: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for other codings of what has none, nor for parts, conditions and HEAD."""
    served = Served(root)
    first = served.ask("/a.txt")
    monkeypatch.setattr(files, "open_file", refuse)
    assert served.ask("/a.txt") == first
    assert served.ask("/a.txt", accept_encoding="gzip, br") == first
    assert served.ask("/a.txt", range="bytes=2-3").body == b"23"
    assert served.ask("/a.txt", if_none_match=ETAG).status == 304
    assert served.ask("/a.txt", "HEAD").status == 200
    assert served.size == 1


def test_a_file_that_was_just_changed_is_not_remembered(root: Path) -> None:
    """It could change again, and look the same."""
    served = Served(root)
    served.ask("/a.txt")
    assert served.size == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda file: write(file, "abcdefghij", MODIFIED + 1),
        lambda file: write(file, "longer than before", MODIFIED),
        lambda file: (file.unlink(), write(file, "another", MODIFIED)),
        lambda file: (write(file.with_name("b"), "renamed"), file.with_name("b").rename(file)),
        lambda file: (write(file.with_name("b"), "linked"), file.unlink(), file.symlink_to("b")),
    ],
)
def test_a_changed_file_is_never_sent_as_it_was(
    root: Path, remembering: None, change: Callable[[Path], object]
) -> None:
    """Written to, made longer, made anew, replaced, turned into a link."""
    served = Served(root)
    served.ask("/a.txt")
    assert served.size == 1
    change(root / "a.txt")
    assert served.ask("/a.txt").body == (root / "a.txt").read_bytes()


def test_what_may_no_longer_be_served_is_not(root: Path, tmp_path: Path, remembering: None) -> None:
    """Removed, or turned into a link that leads out."""
    served = Served(root)
    served.ask("/a.txt")
    write(tmp_path / "secret", TEXT)
    (root / "a.txt").unlink()
    assert served.ask("/a.txt").status == 404
    (root / "a.txt").symlink_to("../secret")
    assert served.ask("/a.txt").status == 404


def test_a_changed_neighbour_is_never_sent_as_it_was(root: Path, remembering: None) -> None:
    """Nor one that was removed, nor one that the file has overtaken."""
    write(root / "a.css", "plain")
    write(root / "a.css.gz", "packed")
    served = Served(root)

    def ask() -> bytes:
        return served.ask("/a.css", accept_encoding="gzip").body

    assert (ask(), ask(), served.size) == (b"packed", b"packed", 1)
    write(root / "a.css.gz", "packed again")
    assert ask() == b"packed again"
    write(root / "a.css", "overtaken", MODIFIED + 1)
    assert ask() == b"overtaken"
    write(root / "a.css", "plain")
    assert ask() == b"packed again"
    (root / "a.css.gz").unlink()
    assert ask() == b"plain"


def test_a_new_neighbour_is_seen_after_a_moment(root: Path, remembering: None) -> None:
    """Whether there are any is looked up once in a while, not for each request."""
    write(root / "a.css", "plain")
    write(root / "a.css.gz", "packed")
    served = Served(root)

    def ask() -> bytes:
        return served.ask("/a.css", accept_encoding="br, gzip").body

    assert ask() == b"packed"
    write(root / "a.css.br", "br")
    assert ask() == b"packed"
    served.client.loop.advance(LOOK_EVERY)
    assert ask() == b"br"
