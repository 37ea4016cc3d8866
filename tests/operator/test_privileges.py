"""Whom workers run as, when root starts a server."""

from __future__ import annotations

import fcntl
import http.client
import os
import pwd
import shutil
import signal
import ssl
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
import trustme
from operator_session import CONF, Home
from served import Client
from waits import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")

NOBODY = pwd.getpwnam("nobody")
WHO = """\
import os
from skitai.server import ssgi

AT_BOOT = os.getresuid()
app = ssgi.Application(__name__)


@app.route("/who")
def who(was):
    mask = os.umask(0)
    os.umask(mask)
    groups = sorted(os.getgroups())
    return repr([AT_BOOT, os.getresuid(), os.getresgid(), groups, mask, os.environ["HOME"]])


@app.route("/back")
def back(was):
    try:
        os.setuid(0)
    except PermissionError:
        return "no way back"
    return "root again"
"""


@pytest.fixture
def open_home() -> Iterator[Home]:
    """A home that everybody may enter; a test's own directory is for root alone."""
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    home = Home(root)
    try:
        yield home
    finally:
        home.close()
        shutil.rmtree(root)


def test_workers_are_somebody_else_before_apps_are_loaded(open_home: Home) -> None:
    """With his groups and home and for good; the master is root on."""
    server = open_home.serve("web", apps={"webapp.py": WHO}, more="user = nobody\numask = 0027")
    uid, gid = NOBODY.pw_uid, NOBODY.pw_gid
    expected = [(uid,) * 3, (uid,) * 3, (gid,) * 3, [gid], 0o027, NOBODY.pw_dir]
    assert server.get("/who").text == repr(expected)
    assert server.get("/back").text == "no way back"
    assert psutil.Process(server.pid).uids().effective == 0


def test_they_take_over_another_ip_too(open_home: Home) -> None:
    """Root binds it beside the old one, and it is they who make it listen."""
    server = open_home.serve("web", more="user = nobody")
    conf = CONF.format(
        processes=2,
        threads=4,
        more="user = nobody",
        port="{port}",
        routes="/ = {app}/webapp",
        sections="",
    )
    open_home.write_conf("web", conf.replace("ip = 127.0.0.1", "ip = 0.0.0.0"), port=server.port)
    assert open_home.run("reload", "web").code == 0
    assert server.get("/hello").text == "hello"
    assert server.status().address == f"http://0.0.0.0:{server.port}"


def test_the_key_of_a_certificate_may_be_root_s_alone(open_home: Home) -> None:
    """The master reads it, and hands on what is in it, also to workers that it forks later."""
    pem = open_home.etc / "cert/web.pem"
    issued = trustme.CA().issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(str(pem))
    pem.chmod(0o600)
    more = "ssl = yes\nuser = nobody"
    server = open_home.serve("web", more=more, sections="[certification]\ncertfile = web.pem")
    (pid,) = server.workers()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: server.workers() not in ([], [pid]), "another worker")
    assert psutil.Process(server.workers()[0]).username() == "nobody"
    anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=60, context=anyone)
    with closing(connection):
        connection.request("GET", "/hello")
        assert connection.getresponse().status == 200


def test_a_group_without_a_user(open_home: Home) -> None:
    """Root, but of another group."""
    server = open_home.serve("web", more="group = daemon")
    (pid,) = server.workers()
    assert psutil.Process(pid).uids().effective == 0
    assert psutil.Process(pid).gids().effective == 1


def test_logs_are_theirs_even_those_of_root(open_home: Home) -> None:
    """Logs that a server of root has left, new ones that its master makes, and links stay put."""
    logs = open_home.var / "servers" / "web" / "logs"
    logs.mkdir(parents=True)
    (logs / "request.log").touch()
    precious = open_home.write_app("precious")
    (logs / "link").symlink_to(precious)
    server = open_home.serve("web", more="user = nobody")
    server.get("/hello")
    for path in logs.iterdir():
        path.rename(path.with_name(f"old-{path.name}"))
    server.send(signal.SIGUSR1)
    server.send(signal.SIGHUP)
    server.wait_log("is ready after", times=2)
    server.get("/hello")
    assert server.stop() == 0
    owners = {path.name: path.lstat().st_uid for path in logs.iterdir()}
    assert {"server.log", "request.log", "old-server.log", "old-request.log"} <= owners.keys()
    assert set(owners.values()) == {NOBODY.pw_uid}
    assert precious.stat().st_uid == 0
    assert "GET /hello" in (logs / "request.log").read_text()
    assert stat.S_IMODE((logs / "request.log").stat().st_mode) == 0o640


def test_the_umask_of_who_starts_it_does_not_lock_workers_out(open_home: Home) -> None:
    """They pass through the directories of root to their logs."""
    open_home.write_app("webapp.py")
    port = open_home.write_conf("web", more="user = nobody")
    command = ["bash", "-c", 'umask 0077; exec "$@"', "bash", *open_home.skitaid, "serve", "web"]
    server = open_home.start(command, "web", port)
    server.get("/hello")
    assert server.stop() == 0
    run_dir = open_home.var / "servers" / "web"
    assert "GET /hello" in (run_dir / "logs" / "request.log").read_text()
    root, nobody = 0, NOBODY.pw_uid
    assert [
        (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode))
        for path in (
            open_home.var,
            run_dir,
            run_dir / "lock",
            run_dir / "logs",
            run_dir / "logs/request.log",
        )
    ] == [(root, 0o755), (root, 0o755), (root, 0o755), (nobody, 0o755), (nobody, 0o640)]


def test_logs_that_a_worker_cannot_reach_are_told_of(open_home: Home) -> None:
    """By the fleet's descriptor of server.log, which root has opened; the server serves."""
    open_home.var.mkdir(mode=0o700)
    open_home.write_app("webapp.py")
    port = open_home.write_conf("web", more="user = nobody")
    assert open_home.run("start").code == 0
    assert Client(port).get("/hello").text == "hello"
    log = open_home.var / "servers" / "web" / "logs" / "server.log"
    wait_until(lambda: "cannot be written: Permission denied" in log.read_text(), "it is told")
    assert open_home.run("stop").code == 0


def test_a_directory_of_logs_that_cannot_be_given_away_ends_nothing(open_home: Home) -> None:
    """Root does not follow a link in its place; a reload and a restart go on without."""
    server = open_home.serve("web", more="user = nobody")
    logs = server.run_dir / "logs"
    logs.rename(logs.with_name("elsewhere"))
    logs.symlink_to("elsewhere")
    for order, done in ((signal.SIGHUP, "the reload is"), (signal.SIGUSR2, "the restart is")):
        server.send(order)
        server.wait_log(f"{done} complete")
    server.wait_log("the logs cannot be given to who writes them: [Errno 20]", times=2)
    assert server.get("/hello").text == "hello"
    assert server.stop() == 0


def test_what_workers_leave_in_their_logs_holds_no_master_up(open_home: Home) -> None:
    """A FIFO in the place of a log, and a lock that is never released: root goes on."""
    server = open_home.serve("web", more="user = nobody\nlog_rotate = size\nlog_max_size = 1k")
    logs = open_home.var / "servers" / "web" / "logs"
    with (logs / ".server.day").open("w") as day:
        fcntl.flock(day, fcntl.LOCK_EX)
        with (logs / "server.log").open("a") as log:
            log.write("x" * 2000)
        server.send(signal.SIGTTIN)
        server.wait_log("there shall be 2 workers")
    (logs / "server.log").unlink()
    os.mkfifo(logs / "server.log")
    server.send(signal.SIGUSR1)
    server.wait_log("cannot be opened: [Errno 6] it is no regular file")
    assert server.stop() == 0


def test_a_restart_tries_the_apps_as_the_worker_would(open_home: Home) -> None:
    """Code of an app never runs as root."""
    server = open_home.serve("web", apps={"webapp.py": WHO}, more="user = nobody")
    refuses_root = "import os\nassert os.geteuid() != 0\n" + WHO
    open_home.write_app("webapp.py", refuses_root)
    server.send(signal.SIGUSR2)
    server.wait_log("the restart is complete")
    assert server.get("/who").status == 200


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("user = nobody-here", "user: this machine has no user nobody-here"),
        ("group = nobody-here", "group: this machine has no group nobody-here"),
        (
            "preload = yes\nuser = nobody",
            "preload: root would import the apps, which are for nobody",
        ),
        ("umask = 9", "umask: 9 is not a umask; write octal digits like 022 or 0027"),
    ],
)
def test_who_is_not_known_is_told_with_its_line(home: Home, line: str, complaint: str) -> None:
    """Before anything starts."""
    home.write_app("webapp.py")
    home.write_conf("web", more=line)
    ran = home.run("serve", "web")
    assert (ran.code, ran.err) == (2, f"web.conf:6: {complaint}\n")
