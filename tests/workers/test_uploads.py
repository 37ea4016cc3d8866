"""An upload on its connection: who waits for whom, what is refused, and that nothing stays behind.

The threads that write are replaced by an executor that does a job when it is told to.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, cast

import pytest
from fake_client import FakeClient, FakeLoop
from forms import BOUNDARY, KIND, Entries, File, encoded, part
from msgspec.structs import replace

from skitai.request import Request
from skitai.upload import UploadedFile
from skitaid.workers.handoff import Handoff
from skitaid.workers.settings import Limits
from skitaid.workers.web.connections import COARSE
from skitaid.workers.web.upload_directory import UploadDirectory
from skitaid.workers.web.uploads import WAITING_MAX, Uploads

LIMITS = Limits(body_timeout=20.0, body_rate=100, body_size=100_000, upload_size=50_000_000)
POST = f"POST /up HTTP/1.1\r\nHost: a\r\nContent-Type: {KIND}\r\n".encode()
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
FORM: Entries = [("name", "Hans"), ("file", File("study.sql", b"select 1"))]
LARGE = File("large", b"x" * (4 * WAITING_MAX))


def upload(entries: Entries = FORM, more: bytes = b"") -> bytes:
    """A request."""
    body = encoded(entries)
    return POST + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(entries: Entries, size: int = 1000) -> bytes:
    body = encoded(entries)
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    data = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return POST + b"Transfer-Encoding: chunked\r\n\r\n" + data + b"0\r\n\r\n"


class ByHand(Executor):
    """Does nothing by itself, or all at once."""

    def __init__(self) -> None:
        self.jobs: deque[Callable[[], object]] = deque()
        self.is_quick = True

    def submit(self, job: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.jobs.append(job)
        if self.is_quick:
            self.work()
        return Future()

    def work(self) -> None:
        while self.jobs:
            self.jobs.popleft()()


class Uploader(FakeClient):
    """A client of a site that takes uploads."""

    def __init__(self, directory: Path, limits: Limits = LIMITS) -> None:
        loop = FakeLoop()
        self.disk = ByHand()
        self.directory = directory
        self.uploads = Uploads(
            limits,
            UploadDirectory(str(directory)),
            Handoff(cast(asyncio.AbstractEventLoop, loop)),
            self.disk,
        )
        super().__init__(limits, loop=loop, uploads=self.uploads)

    @property
    def files(self) -> list[Path]:
        """What is on disk."""
        return [path for path in self.directory.rglob("*") if path.is_file()]

    def work(self) -> None:
        """The disk does all that it has to, and the loop hears of it, until all is quiet."""
        while self.disk.jobs:
            self.disk.work()
            self.loop.settle()

    @property
    def request(self) -> Request:
        """The last one that the site has seen."""
        return self.site.seen[-1]


@pytest.fixture
def client(tmp_path: Path) -> Uploader:
    """One whose requests wait for their answer."""
    client = Uploader(tmp_path)
    client.site.answers_at_once = False
    return client


@pytest.fixture
def slow_disk(client: Uploader) -> Uploader:
    """The same, and nothing is written before it is told so."""
    client.disk.is_quick = False
    return client


# What a handler gets


@pytest.mark.parametrize("bytewise", [False, True])
@pytest.mark.parametrize("data", [upload(), chunked(FORM, 7)], ids=["length", "chunked"])
def test_fields_and_files(client: Uploader, data: bytes, bytewise: bool) -> None:
    """The file is on disk, for nobody else to read, and the body is there as it came."""
    client.send(data, bytewise)

    file = client.request.args["file"]
    local = Path(file["local"])
    assert client.request.args == {
        "name": "Hans",
        "file": {
            "mimetype": "application/octet-stream",
            "local": str(local),
            "remote": "study.sql",
            "size": 8,
        },
    }
    assert (local.read_bytes(), local.stat().st_mode & 0o777) == (b"select 1", 0o600)
    assert local.parent.stat().st_mode & 0o777 == 0o700
    assert client.request.get_body() == encoded(FORM)
    assert client.files == [local]


def test_large_upload_has_no_raw_body(client: Uploader) -> None:
    """More than an ordinary body may have is not kept in memory, announced or not."""
    entries: Entries = [("file", LARGE)]
    for data in (upload(entries), chunked(entries, 100_000)):
        client.send(data)
        assert client.request.get_body() is None
        assert Path(client.request.args["file"]["local"]).read_bytes() == LARGE.content
        client.answer()


def test_request_waits_until_all_is_written(slow_disk: Uploader) -> None:
    """A handler never finds half a file."""
    client = slow_disk
    client.send(upload())
    assert client.seen == []
    client.work()

    assert client.request.args["file"]["size"] == 8


def test_requests_behind_an_upload_wait_for_it(slow_disk: Uploader) -> None:
    """Answers leave in the order of the requests, and meanwhile no more are read."""
    client = slow_disk
    client.site.answers_at_once = True
    client.send(GET + upload() + GET + upload() + GET)
    assert [each[0] for each in client.seen] == ["GET"]
    assert client.transport.is_reading_paused
    client.work()

    assert [each[0] for each in client.seen] == ["GET", "POST", "GET", "POST", "GET"]
    assert client.statuses == [200] * 5
    assert not client.transport.is_reading_paused
    assert client.files == []


# Files go


def test_files_are_deleted_after_the_answer(client: Uploader) -> None:
    """Unless they were moved."""
    client.send(upload([*FORM, ("kept", File("kept", b"kept"))]))
    kept = client.request.files["kept"]
    assert isinstance(kept, UploadedFile)
    kept.save(client.directory / "kept")
    assert len(client.files) == 2
    client.answer()

    assert client.files == [client.directory / "kept"]
    assert (client.directory / "kept").read_bytes() == b"kept"


def test_files_are_deleted_off_the_loop(client: Uploader) -> None:
    """To delete a large file takes a while."""
    client.send(upload())
    client.disk.is_quick = False
    client.answer()
    assert len(client.files) == 1
    client.work()

    assert client.files == []


def test_handler_keeps_its_files_when_its_client_has_gone(client: Uploader) -> None:
    """It may still need them, until its answer comes that nobody reads."""
    client.send(upload())
    client.transport.lose()
    client.loop.settle()
    assert len(client.files) == 1
    client.answer()

    assert client.files == []


def test_handler_that_was_given_up_keeps_its_files(client: Uploader) -> None:
    """Its client has got its 503, but it runs on."""
    client.send(upload())
    late = client.site.in_hand
    client.request.is_given_up = True
    client.answer(keep_alive=False)
    assert len(client.files) == 1
    client.site.in_hand = late
    client.answer()

    assert client.files == []


def test_files_of_a_request_that_nobody_answers(client: Uploader) -> None:
    """Its client has gone, and its handler never began: they go with the request."""
    client.send(upload())
    client.transport.lose()
    client.loop.settle()
    assert len(client.files) == 1
    client.site.seen.clear()
    client.site.in_hand = None
    client.loop.settle()

    assert client.files == []


# The disk is slow


def test_reading_stops_while_much_waits(slow_disk: Uploader) -> None:
    """Of a large file there is never much in memory."""
    client = slow_disk
    data = upload([("file", LARGE)])
    step = 64 * 1024
    waiting = 0
    for at in range(0, len(data), step):
        client.send(data[at : at + step])
        if client.transport.is_reading_paused:
            waiting = max(waiting, at + step)
            client.work()
            assert not client.transport.is_reading_paused
    client.work()

    assert waiting >= WAITING_MAX
    assert client.request.args["file"]["size"] == len(LARGE.content)


def test_tiny_pieces_count_with_what_they_cost(slow_disk: Uploader) -> None:
    """A client cannot make much of little."""
    client = slow_disk
    client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"2\r\n--\r\n")
    client.send(b"2\r\nxx\r\n" * (WAITING_MAX // 50))

    assert client.transport.is_reading_paused


def test_client_that_waits_for_us_is_not_late(slow_disk: Uploader) -> None:
    """It cannot send while we do not read; afterwards it has all its time again."""
    client = slow_disk
    data = upload([("file", LARGE)])
    client.send(data[: 2 * WAITING_MAX])
    client.send(data[2 * WAITING_MAX : -1])
    assert client.transport.is_reading_paused
    client.loop.advance(1000)
    assert client.statuses == []
    client.work()
    client.loop.advance(LIMITS.body_timeout - 1)
    client.send(data[-1:])
    client.work()

    assert client.request.args["file"]["size"] == len(LARGE.content)


def test_complete_upload_is_never_late(slow_disk: Uploader) -> None:
    """However long the disk takes."""
    client = slow_disk
    client.send(upload())
    client.loop.advance(1000)
    client.work()
    client.answer()

    assert client.statuses == [200]


def test_pause_in_an_upload_is_408(client: Uploader) -> None:
    """It is judged like any body."""
    client.send(upload([("file", LARGE)])[:-100])
    assert len(client.files) == 1
    client.loop.advance(LIMITS.body_timeout + COARSE)

    assert client.statuses == [408]
    assert client.files == []


def test_trickling_upload_is_408(client: Uploader) -> None:
    """Half of the rate that is asked for."""
    data = upload([("file", File("a", b"x" * 30_000))])
    client.send(data[:200])
    at = 200
    while not client.is_ended and at < len(data):
        client.send(data[at : at + 50])
        client.loop.advance(1)
        at += 50

    assert client.statuses == [408]
    assert client.files == []


# Expect


def test_continue_is_sent_for_an_upload(client: Uploader) -> None:
    """As for any body."""
    data = upload(more=b"Expect: 100-continue\r\n")
    head, blank, body = data.partition(b"\r\n\r\n")
    client.send(head + blank)
    assert client.statuses == [100]
    client.send(body)
    client.answer()

    assert client.statuses == [100, 200]


@pytest.mark.parametrize(
    ("kind", "size", "status"), [(KIND, 50_000_001, 413), ("multipart/form-data", 100, 400)]
)
def test_continue_is_not_sent_for_what_is_refused(
    client: Uploader, kind: str, size: int, status: int
) -> None:
    """Too large, or without a boundary: the header says so."""
    client.send(
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
        + f"Content-Type: {kind}\r\nContent-Length: {size}\r\n\r\n".encode()
    )

    assert client.statuses == [status]


# What is refused


BAD: dict[str, tuple[bytes, int, Limits]] = {
    "truncated": (upload().replace(b"--\r\n", b"xx\r\n"), 400, LIMITS),
    "no last boundary": (
        POST + b"Content-Length: %d\r\n\r\n" % len(part(*FORM[1])) + part(*FORM[1]),
        400,
        LIMITS,
    ),
    "wrong boundary": (upload().replace(KIND.encode(), b"multipart/form-data; boundary=a"), 400,
                       LIMITS),
    "second part without a name": (upload().replace(b'name="file"', b'nome="file"'), 400, LIMITS),
    "many parts": (upload([("f", File("f", b"x"))] * 9), 413, replace(LIMITS, upload_parts=8)),
    "file too large": (upload(), 413, replace(LIMITS, upload_file_size=7)),
    "field too large": (upload(FORM[::-1]), 413, replace(LIMITS, upload_field_size=3)),
    "too large": (upload(), 413, replace(LIMITS, upload_size=100)),
    "too large in chunks": (chunked(FORM, 10), 413, replace(LIMITS, upload_size=150)),
}  # fmt: skip


@pytest.mark.parametrize("disk_is_quick", [True, False])
@pytest.mark.parametrize("way", ["whole", "bytewise", "with a tail"])
@pytest.mark.parametrize("name", BAD)
def test_refused(tmp_path: Path, name: str, way: str, disk_is_quick: bool) -> None:
    """The client is told, no handler is, and nothing is left behind."""
    data, status, limits = BAD[name]
    client = Uploader(tmp_path, limits)
    client.disk.is_quick = disk_is_quick
    client.send(data + (GET if way == "with a tail" else b""), way == "bytewise")
    client.work()

    assert client.seen == []
    assert client.statuses == [status]
    assert client.is_ended
    assert not client.transport.is_reading_paused, "the rest must be read, or the answer is lost"
    assert client.files == []


def test_refused_behind_another_waits_for_its_answer(client: Uploader) -> None:
    """And what came behind it is not answered."""
    client.send(GET + BAD["truncated"][0] + GET)
    assert client.statuses == []
    client.answer()

    assert client.statuses == [200, 400]
    assert len(client.seen) == 1


def test_refused_before_a_bad_request(slow_disk: Uploader) -> None:
    """Of two refusals the first one is told."""
    client = slow_disk
    client.send(BAD["truncated"][0] + b"nonsense\r\n\r\n")
    client.work()

    assert client.statuses == [400]
    assert "The multipart body cannot be read" in client.answers[0].body.decode()


def test_full_disk_is_500(client: Uploader, caplog: pytest.LogCaptureFixture) -> None:
    """The log says what the client need not know."""

    def full() -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    client.uploads.directory.new_file = full  # type: ignore[method-assign]
    client.send(upload())

    assert client.statuses == [500]
    assert "an upload cannot be stored: [Errno 28] No space left on device" in caplog.text


# Clients that go


@pytest.mark.parametrize("disk_is_quick", [True, False])
@pytest.mark.parametrize("cut", [100, 300, -1])
def test_client_that_goes_leaves_nothing_behind(
    client: Uploader, cut: int, disk_is_quick: bool
) -> None:
    """Wherever it stops, also while a thread writes."""
    client.disk.is_quick = disk_is_quick
    client.send(upload()[:cut])
    client.transport.lose()
    client.loop.settle()
    client.work()

    assert client.seen == []
    assert client.files == []


def test_client_that_goes_while_its_upload_is_stored(slow_disk: Uploader) -> None:
    """It is complete, but nobody wants it any more."""
    client = slow_disk
    client.send(upload())
    client.transport.lose()
    client.loop.settle()
    client.work()

    assert client.seen == []
    assert client.files == []


def test_half_close_within_an_upload(client: Uploader) -> None:
    """Behind another request: that one is answered, the upload is forgotten."""
    client.send(GET + upload()[:-10])
    assert len(client.files) == 1
    client.send_eof()
    assert client.files == []
    client.answer()

    assert client.statuses == [200]
    assert client.is_closed


def test_half_close_behind_an_upload(slow_disk: Uploader) -> None:
    """It is answered when it is stored."""
    client = slow_disk
    client.send(upload())
    client.send_eof()
    client.work()
    client.answer()
    client.work()

    assert client.statuses == [200]
    assert client.is_closed
    assert client.files == []


def test_close_forgets_the_upload_behind(slow_disk: Uploader) -> None:
    """An answer that is the last one: what was sent behind it is not executed unseen."""
    client = slow_disk
    for behind in (upload(), upload()[:-10]):
        client = Uploader(client.directory)
        client.site.answers_at_once = client.disk.is_quick = False
        client.send(GET + behind)
        client.answer(keep_alive=False)
        client.work()

        assert len(client.seen) == 1
        assert client.is_closed
        assert client.files == []


def test_upload_is_busy_while_it_is_stored(slow_disk: Uploader) -> None:
    """A worker that leaves waits for it."""
    client = slow_disk
    client.send(upload())
    client.drain()
    assert not client.is_closed
    client.work()
    client.answer()

    assert client.answers[0].fields["connection"] == "close"
    assert client.is_closed


def test_other_multipart_is_an_ordinary_body(client: Uploader) -> None:
    """Only forms are taken apart."""
    client.send(upload().replace(b"form-data; boundary", b"mixed; boundary"))

    assert client.request.body == encoded(FORM)
    assert client.request.args == {}
    assert BOUNDARY.encode() in client.request.body
