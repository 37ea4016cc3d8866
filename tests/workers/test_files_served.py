"""Files from a running server, asked for with curl: whole, in parts, resumed, compressed."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import brotli
import pytest
import zstandard
from operator_session import Home
from served import Server
from waits import PATIENCE

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")

ROUTES = "/ = {app}/static\n/ = {app}/webapp"
LARGE = random.Random(1).randbytes(3_000_001)
LINES = [f"line {number} of a text that is compressed on the fly\n" for number in range(20_000)]
TEXT = "".join(LINES).encode()  # just below the limit
SMALL = TEXT[:8000]


@pytest.fixture(scope="module")
def server(shared_home: Home) -> Server:
    """One for all tests of this file: none of them may leave it other than it was."""
    files = {
        "large.bin": LARGE,
        "text.txt": TEXT,
        "small.css": SMALL,
        "huge.txt": TEXT * 2,
        "huge.txt.gz": gzip.compress(TEXT * 2),
        "tight.js": random.Random(2).randbytes(5000),
    }
    (shared_home.app / "static").mkdir()
    for name, content in files.items():
        (shared_home.app / "static" / name).write_bytes(content)
    return shared_home.serve("web", routes=ROUTES)


def curl(server: Server, path: str, *options: str) -> bytes:
    """What it writes to standard output; it must succeed."""
    command = ["curl", "-sS", "--fail", *options, f"http://127.0.0.1:{server.port}{path}"]
    return subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE).stdout


def content(home: Home, name: str) -> bytes:
    return (home.app / "static" / name).read_bytes()


@pytest.mark.parametrize("name", ["large.bin", "text.txt", "small.css", "huge.txt"])
def test_whole(server: Server, shared_home: Home, name: str) -> None:
    """Every byte."""
    assert curl(server, f"/{name}") == content(shared_home, name)


@pytest.mark.parametrize("name", ["large.bin", "small.css"])
@pytest.mark.parametrize(
    ("span", "part"),
    [
        ("0-0", slice(0, 1)),
        ("100-1099", slice(100, 1100)),
        ("7000-", slice(7000, None)),
        ("-10", slice(-10, None)),
    ],
)
def test_part(server: Server, shared_home: Home, name: str, span: str, part: slice) -> None:
    """curl -r, of a file that is streamed and of one that is sent in one piece."""
    assert curl(server, f"/{name}", "-r", span) == content(shared_home, name)[part]


def test_several_parts_of_a_large_file(server: Server) -> None:
    """Streamed one after the other, with what stands between them."""
    reply = server.get("/large.bin", {"Range": "bytes=0-299999,2000000-2299999,-1"})
    boundary = reply.headers.get_param("boundary")
    assert reply.status == 206
    bodies = reply.body.split(f"--{boundary}".encode())
    parts = [body.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for body in bodies[1:-1]]
    assert parts == [LARGE[:300_000], LARGE[2_000_000:2_300_000], LARGE[-1:]]


def test_resume(server: Server, tmp_path: Path) -> None:
    """curl -C - goes on where a file breaks off, and leaves one alone that is whole."""
    file = tmp_path / "large.bin"
    file.write_bytes(LARGE[:1_234_567])
    curl(server, "/large.bin", "-C", "-", "-o", str(file))
    assert file.read_bytes() == LARGE


@pytest.mark.parametrize(
    ("accept", "decode"),
    [("gzip", gzip.decompress), ("br", brotli.decompress), ("zstd", zstandard.decompress)],
)
@pytest.mark.parametrize("name", ["text.txt", "small.css"])
def test_compressed_on_the_fly(
    server: Server, shared_home: Home, name: str, accept: str, decode: Callable[[bytes], bytes]
) -> None:
    """The first time and the second, with length and tag, and in no coding without being asked."""
    for _ in range(2):
        reply = server.get(f"/{name}", {"Accept-Encoding": accept})
        assert reply.headers["Content-Encoding"] == accept
        assert reply.headers["Vary"] == "Accept-Encoding"
        assert int(reply.headers["Content-Length"]) == len(reply.body) < 0.4 * len(TEXT)
        assert decode(reply.body) == content(shared_home, name)
    tag = {"If-None-Match": reply.headers["ETag"], "Accept-Encoding": accept}
    assert server.get(f"/{name}", tag).status == 304
    head = server.request("HEAD", f"/{name}", headers={"Accept-Encoding": accept})
    assert (head.body, head.headers["ETag"]) == (b"", reply.headers["ETag"])
    assert server.get(f"/{name}").headers["Content-Encoding"] is None


@pytest.mark.parametrize("name", ["large.bin", "text.txt", "small.css", "huge.txt", "tight.js"])
def test_curl_compressed(server: Server, shared_home: Home, name: str) -> None:
    """Whatever it was sent as, it is the file in the end."""
    assert curl(server, f"/{name}", "--compressed") == content(shared_home, name)


def test_a_large_text_comes_from_its_neighbour_or_as_it_is(server: Server) -> None:
    """It is not compressed on the fly."""
    packed = server.get("/huge.txt", {"Accept-Encoding": "br, gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == TEXT * 2
    assert server.get("/huge.txt", {"Accept-Encoding": "br"}).body == TEXT * 2


def test_what_does_not_become_smaller_is_sent_as_it_is(server: Server, shared_home: Home) -> None:
    """With the tag of the file itself."""
    reply = server.get("/tight.js", {"Accept-Encoding": "gzip"})
    assert reply.body == content(shared_home, "tight.js")
    assert reply.headers["Content-Encoding"] is None
    assert reply.headers["ETag"] == server.get("/tight.js").headers["ETag"]


def test_resume_of_what_was_sent_compressed(server: Server, tmp_path: Path) -> None:
    """curl has written what it has unpacked, and gets the rest of that."""
    file = tmp_path / "text.txt"
    file.write_bytes(TEXT[:5000])
    curl(server, "/text.txt", "--compressed", "-C", "-", "-o", str(file))
    assert file.read_bytes() == TEXT


def test_only_if_it_is_newer(server: Server, shared_home: Home, tmp_path: Path) -> None:
    """curl -z with the date of its copy."""
    copy = tmp_path / "copy"
    status = (shared_home.app / "static" / "small.css").stat()
    copy.write_bytes(b"mine")
    code = ("-o", str(copy), "-w", "%{http_code}", "-z", str(copy))

    os.utime(copy, (status.st_mtime, status.st_mtime))
    assert curl(server, "/small.css", *code) == b"304"
    assert copy.read_bytes() == b"mine"

    os.utime(copy, (0, status.st_mtime - 2))
    assert curl(server, "/small.css", *code) == b"200"
    assert copy.read_bytes() == SMALL


def test_a_part_beyond_the_end(server: Server) -> None:
    """Of a large file too the client learns how long it is, and the connection stays."""
    connection = server.connect()
    for _ in range(2):
        connection.request("GET", "/large.bin", headers={"Range": f"bytes={len(LARGE)}-"})
        response = connection.getresponse()
        assert b"3000001 bytes" in response.read()
        assert (response.status, response.headers["Content-Range"]) == (416, "bytes */3000001")
    connection.close()


def test_head_of_a_large_file(server: Server) -> None:
    """Nothing is read."""
    reply = server.request("HEAD", "/large.bin", headers={"Range": "bytes=0-1"})
    assert (reply.status, reply.headers["Content-Length"]) == (200, "3000001")
