"""Uploads by real clients to a real server: what handlers get, what it costs, what stays behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from forms import BOUNDARY, KIND, Entries, File, encoded
from operator_session import Home
from served import Reply, Server
from waits import PATIENCE, wait_until

APP = """\
import os

from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/up")
def up(was, **form):
    return {"args": form, "body": len(was.request.get_body() or b"")}


@app.route("/read")
async def read(was, file):
    with file.open() as source:
        return source.read()


@app.route("/keep")
def keep(was, file, to):
    file.save(to)
    return str(os.getpid())


@app.route("/slow")
def slow(was, file, came, go, result):
    with open(came, "w"):
        pass
    with open(go) as gate:
        gate.read()
    with file.open() as source, open(result, "wb") as target:
        target.write(source.read())
    return "nobody reads this"


@app.route("/fail")
def fail(was, **form):
    raise ZeroDivisionError("a defect of the app")
"""
MIB = 1024 * 1024


def serve(home: Home, more: str = "") -> Server:
    (home.root / "uploads").mkdir(exist_ok=True)
    more = f"{more}\nupload_dir = {home.root}/uploads"
    return home.serve("web", apps={"webapp.py": APP}, more=more)


@pytest.fixture(scope="module")
def shared(shared_home: Home) -> Server:
    """For all tests that leave it as it was."""
    return serve(shared_home)


def files(home: Home) -> list[Path]:
    """What is on disk of uploads."""
    return [path for path in (home.root / "uploads").rglob("*") if path.is_file()]


def wait_no_files(home: Home) -> None:
    wait_until(lambda: not files(home), "the files of an upload are still there")


def post(server: Server, path: str, entries: Entries) -> Reply:
    return server.post(path, encoded(entries), {"Content-Type": KIND})


def curl(server: Server, path: str, *arguments: str) -> Any:
    """What the server has answered to it."""
    url = f"http://127.0.0.1:{server.port}{path}"
    command = ["curl", "-sS", "--fail-with-body", "--max-time", f"{PATIENCE:.0f}", *arguments, url]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize(
    "how", [[], ["-H", "Transfer-Encoding: chunked"]], ids=["length", "chunks"]
)
def test_curl(shared: Server, shared_home: Home, tmp_path: Path, how: list[str]) -> None:
    """Fields and files, more than one of a name, and one that makes curl wait for a 100."""
    (tmp_path / '\u540d "1".txt').write_text("hello")
    (tmp_path / "large").write_bytes(b"x" * (2 * MIB))
    told = curl(
        shared,
        "/up?a=0",
        *how,
        *("-F", "a=1", "-F", "a=\u4e2d", "-F", "empty="),
        *("-F", f'f=@"{tmp_path}/\u540d \\"1\\".txt"'),
        *("-F", f"g=@{tmp_path}/large;type=Image/PNG;filename=../dir/l.png"),
    )

    args = told["args"]
    for name in ("f", "g"):
        assert args[name].pop("local").startswith(f"{shared_home.root}/uploads/")
    assert args == {
        "a": ["0", "1", "\u4e2d"],
        "empty": "",
        "f": {"mimetype": "text/plain", "remote": '\u540d "1".txt', "size": 5},
        "g": {"mimetype": "image/png", "remote": "l.png", "size": 2 * MIB},
    }
    assert told["body"] > 2 * MIB
    wait_no_files(shared_home)


def test_handler_reads_the_file(shared: Server) -> None:
    """From the event loop too."""
    assert post(shared, "/read", [("file", File("a", b"content"))]).body == b"content"


def test_handler_keeps_the_file(shared: Server, shared_home: Home, tmp_path: Path) -> None:
    """It is where the app has moved it."""
    entries: Entries = [("file", File("a", b"content")), ("to", str(tmp_path / "kept"))]
    assert post(shared, "/keep", entries).status == 200
    assert (tmp_path / "kept").read_bytes() == b"content"
    wait_no_files(shared_home)


@pytest.mark.parametrize(("path", "status"), [("/fail", 500), ("/none", 404), ("/read", 400)])
def test_nothing_is_left_by_what_fails(
    shared: Server, shared_home: Home, path: str, status: int
) -> None:
    """A defect, no handler, arguments that do not fit."""
    assert post(shared, path, [("other", File("a", b"content"))]).status == status
    wait_no_files(shared_home)


def test_ten_thousand_parts(shared: Server, shared_home: Home) -> None:
    """Refused, and the answer says why and what to raise."""
    reply = post(shared, "/up", [("f", File("f", b""))] * 10_000)

    assert reply.status == 413
    assert "more than 1000 parts (max_upload_parts)" in reply.text
    wait_no_files(shared_home)


def half(server: Server, home: Home) -> Any:
    """A connection on which half of a file has come, and is on disk."""
    body = encoded([("file", File("a", b"x" * MIB))])
    connection = server.raw()
    head = f"POST /up HTTP/1.1\r\nHost: a\r\nContent-Type: {KIND}\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body[: MIB // 2])
    wait_until(lambda: any(path.stat().st_size for path in files(home)), "nothing is written")
    return connection


def test_client_that_goes(shared: Server, shared_home: Home) -> None:
    """Half an upload is none."""
    half(shared, shared_home).close()
    wait_no_files(shared_home)


def test_client_that_goes_while_the_handler_runs(
    shared: Server, shared_home: Home, tmp_path: Path
) -> None:
    """The handler still has its file; then it goes, though nobody has got an answer."""
    gates = {name: str(tmp_path / name) for name in ("came", "go")}
    for path in gates.values():
        os.mkfifo(path)
    result = tmp_path / "result"
    fields: Entries = [*gates.items(), ("result", str(result))]
    body = encoded([*fields, ("file", File("a", b"content"))])
    with closing(shared.connect()) as connection:
        connection.request("POST", "/slow", body, {"Content-Type": KIND})
        Path(gates["came"]).read_text()
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: shared.status().workers[0].connections == 0, "the client has not gone")
    Path(gates["go"]).write_text("")
    wait_no_files(shared_home)
    assert result.read_bytes() == b"content"


def test_stop_in_the_middle_of_an_upload(home: Home) -> None:
    """The worker leaves nothing, not even its directory."""
    server = serve(home)
    with closing(half(server, home)):
        assert server.stop() == 0
    assert os.listdir(home.root / "uploads") == []


def test_reload_in_the_middle_of_an_upload(home: Home) -> None:
    """The old worker takes all of it, answers, and leaves nothing."""
    server = serve(home, "drain_timeout = 60")
    body = encoded([("file", File("a", b"x" * MIB))])
    with closing(half(server, home)) as connection:
        server.send(signal.SIGHUP)
        wait_until(lambda: len(server.workers()) == 2, "there is no successor")
        connection.sendall(body[MIB // 2 :])
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 200 ")
    wait_until(lambda: not os.listdir(home.root / "uploads"), "the directory is still there")


def test_killed_worker_is_cleaned_up_after(home: Home) -> None:
    """By its successor, when that begins."""
    server = serve(home)
    with closing(half(server, home)):
        (pid,) = server.workers()
        os.kill(pid, signal.SIGKILL)
        wait_no_files(home)
    wait_until(lambda: not os.listdir(home.root / "uploads"), "its directory is still there")


def memory(pid: int, name: str) -> int:
    """Of a process, in bytes, from its status: VmRSS now, VmHWM at most."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} has no {name}")


def pieces(size: int) -> Iterator[bytes]:
    """A form with a file of so many bytes."""
    start, end = encoded([("file", File("large", b"|"))]).split(b"|")
    yield start
    for _ in range(size // MIB):
        yield b"x" * MIB
    yield end


def test_large_upload_takes_no_memory(shared: Server) -> None:
    """64 MiB through a worker whose memory grows by no more than a few."""
    (pid,) = shared.workers()
    post(shared, "/up", [("file", File("a", b"x" * MIB))])  # what the first one needs is no growth
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # VmHWM begins anew, proc(5)
    before = memory(pid, "VmRSS")
    size = 64 * MIB
    length = sum(map(len, pieces(0))) + size
    with closing(shared.connect()) as connection:
        headers = {"Content-Type": KIND, "Content-Length": str(length)}
        connection.request("POST", "/up", pieces(size), headers)
        told = json.loads(connection.getresponse().read())

    assert told["args"]["file"]["size"] == size
    assert told["body"] == 0
    assert memory(pid, "VmHWM") - before < 16 * MIB


def test_boundary_in_quotes(shared: Server) -> None:
    """Some clients write it so."""
    kind = f'multipart/form-data; boundary="{BOUNDARY}"'
    assert shared.post("/up", encoded([("a", "1")]), {"Content-Type": kind}).json()["args"] == {
        "a": "1"
    }
