"""Listening on a file: whose it is, when it goes, and what it may not replace."""

from __future__ import annotations

import os
import signal
import socket
import stat
import threading
from pathlib import Path

import pytest
from operator_session import Home
from served import Server

from skitaid.supervisor.listeners import CannotListen, let_go, listen, try_to_listen

CONF = """\
[server]
ip = unix:{socket}
trusted_proxies = unix:
{more}
[routes:line]
/ = {{app}}/webapp
"""

TELLS = """\
import os
from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/hello")
def hello(was):
    env = was.env
    return [os.getpid(), env.REMOTE_ADDR, was.request.scheme, env.SERVER_NAME, env.SERVER_PORT]
"""


def serve(home: Home, more: str = "", name: str = "web") -> tuple[Server, Path]:
    path = home.root / f"{name}.sock"
    conf = CONF.format(socket=path, more=more)
    return home.serve(name, conf, apps={"webapp.py": TELLS}), path


def ask(path: Path, fields: str = "Host: shop.example\r\n") -> bytes:
    """The answer to one request, with its header."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.settimeout(60)
        stream.connect(str(path))
        stream.sendall(f"GET /hello HTTP/1.1\r\n{fields}Connection: close\r\n\r\n".encode())
        return stream.makefile("rb").read()


# What goes wrong


@pytest.mark.parametrize("kind", ["file", "directory", "link to a file"])
def test_what_is_no_socket_is_not_replaced(tmp_path: Path, kind: str) -> None:
    """Somebody has mistyped a path."""
    path = tmp_path / "x"
    (tmp_path / "other").write_text("precious")
    if kind == "directory":
        path.mkdir()
    elif kind == "file":
        path.write_text("precious")
    else:
        path.symlink_to("other")
    with pytest.raises(CannotListen, match="that is no socket"):
        listen(f"unix:{path}", 0)
    assert path.exists()
    assert (tmp_path / "other").read_text() == "precious"


def test_where_somebody_listens_nobody_else_can(tmp_path: Path) -> None:
    """Of a server of ours, too."""
    path = tmp_path / "x"
    with listen(f"unix:{path}", 0), pytest.raises(CannotListen, match="already does"):
        listen(f"unix:{path}", 0)


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With the path."""
    with pytest.raises(CannotListen, match="no/such: No such file or directory"):
        listen(f"unix:{tmp_path}/no/such", 0)


def test_the_file_of_somebody_else_is_not_removed(tmp_path: Path) -> None:
    """Another process has taken the place of ours."""
    path = tmp_path / "x"
    ours = listen(f"unix:{path}", 0)
    path.unlink()
    ready, over = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        other = socket.socket(socket.AF_UNIX)
        other.bind(str(path))
        other.listen()
        os.write(ready[1], b".")
        os.read(over[0], 1)
        os._exit(0)
    try:
        os.read(ready[0], 1)
        let_go(f"unix:{path}")
        ours.close()
        assert path.exists()
    finally:
        os.write(over[1], b".")
        os.waitpid(pid, 0)
        for descriptor in (*ready, *over):
            os.close(descriptor)


def test_settings_that_it_has_no_use_for_are_mistakes(home: Home) -> None:
    """All at once, each with its line."""
    more = "port = 5000\nssl = yes\nredirect_port = 80"
    home.write_conf("web", CONF.format(socket=home.root / "x", more=more))
    told = home.run("check", "web").err
    assert "web.conf:4: port: it has no effect with ip = unix:PATH" in told
    assert "web.conf:6: redirect_port: it has no effect with ip = unix:PATH" in told
    home.write_conf("web", more="unix_mode = 600")
    assert "unix_mode: it has no effect without ip = unix:PATH" in home.run("check", "web").err
    home.write_conf("web", CONF.format(socket="", more="").replace("unix:\n", "unix:x\n", 1))
    assert "write unix: and an absolute path" in home.run("check", "web").err


# What goes well


def test_the_trial_leaves_no_file(tmp_path: Path) -> None:
    """One can listen there afterwards."""
    try_to_listen(f"unix:{tmp_path}/x", 0)
    assert not (tmp_path / "x").exists()


def test_long_paths_are_fine(tmp_path: Path) -> None:
    """Longer than the kernel takes."""
    path = tmp_path / ("d" * 100) / ("f" * 90)
    path.parent.mkdir()
    with listen(f"unix:{path}", 0):
        assert stat.S_ISSOCK(path.stat().st_mode)
        let_go(f"unix:{path}")
    assert not path.exists()


def test_who_connects_is_whom_the_proxy_names(home: Home) -> None:
    """And without a word, nobody."""
    _, path = serve(home)
    told = ask(
        path, "Host: shop.example\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n"
    )
    assert told.endswith(b'"192.0.2.7","https","shop.example","443"]')
    assert ask(path).endswith(b'"","http","shop.example","80"]')


def test_the_file_has_its_mode_and_goes_with_the_server(home: Home) -> None:
    """Whatever the umask is; and after a kill the next one takes its place."""
    server, path = serve(home, "unix_mode = 622\numask = 077")
    assert stat.S_IMODE(path.stat().st_mode) == 0o622
    assert f"unix:{path}" in home.run("status").out
    assert server.stop() == 0
    assert not path.exists()
    server, path = serve(home)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    server.send(signal.SIGKILL)
    server.wait()
    assert path.exists()
    server, path = serve(home)
    assert ask(path).startswith(b"HTTP/1.1 200 ")


def test_reload_and_restart_keep_the_file(home: Home) -> None:
    """The same one, and no connection is refused meanwhile; another path takes its place."""
    server, path = serve(home)
    inode = path.stat().st_ino
    outcomes: set[bytes] = set()
    over = threading.Event()

    def load() -> None:
        while not over.is_set():
            outcomes.add(ask(path)[:12])

    loader = threading.Thread(target=load)
    loader.start()
    try:
        for verb in ("reload", "restart", "reload"):
            ran = home.run(verb, "web")
            assert (ran.code, ran.err) == (0, "")
    finally:
        over.set()
        loader.join()
    assert outcomes == {b"HTTP/1.1 200"}
    assert path.stat().st_ino == inode
    moved = home.root / "moved.sock"
    home.write_conf("web", CONF.format(socket=moved, more=""))
    assert home.run("reload", "web").code == 0
    assert ask(moved).startswith(b"HTTP/1.1 200 ")
    assert not path.exists()
    assert server.stop() == 0
    assert not moved.exists()
