"""What a server writes down, read by its operator."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
from contextlib import closing
from pathlib import Path

import pytest
from operator_session import HELLO, Home
from served import Client, Server
from waits import wait_until

STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
LINE = re.compile(
    rf"{STAMP} 127\.0\.0\.1 (?P<request>\S+ \S+) HTTP/1\.[01] (?P<status>\d+) (?P<size>\d+)"
    r" (?P<id>\S+) (?P<wait>\d+\.\d) (?P<took>\d+\.\d)"
)

APP = (
    HELLO
    + """

@app.route("/fail")
def fail(was):
    raise RuntimeError("on purpose")


@app.route("/id")
def id(was):
    return was.request.id


@app.route("/say")
def say(was):
    import logging

    logging.getLogger("shop.cart").warning("the cart is empty")
    print("printed by the app", flush=True)
    return "said"
"""
)


def log_path(server: Server, name: str) -> Path:
    return server.run_dir / "logs" / name


def read(server: Server, name: str) -> str:
    """A log, as far as there is one."""
    path = log_path(server, name)
    return path.read_text() if path.exists() else ""


def wait_line(server: Server, name: str, text: str, times: int = 1) -> str:
    """The log when it says `text`, `times` times."""
    wait_until(lambda: read(server, name).count(text) >= times, f"{name} says {text}")
    return read(server, name)


# When it goes wrong


def test_a_full_disk_holds_no_request_up_and_is_spoken_of(home: Home) -> None:
    """Lines are lost and counted; when there is room again, server.log says how many."""
    server = home.serve("web")
    worker = server.workers()[0]
    limit = len(read(server, "server.log")) + 20_000
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (300, limit))
    with closing(server.connect()) as connection:
        for _ in range(50):
            connection.request("GET", "/hello")
            assert connection.getresponse().read() == b"hello"
    server.wait_log("request.log cannot be written: File too large; lines are lost")
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (limit, limit))
    assert server.get("/hello").text == "hello"
    server.wait_log(" lines: File too large")
    assert re.search(r"\[warning\] web/0: request.log lacks \d+ lines: ", server.log())
    assert "request.log lacks" in wait_line(server, "server.log", "request.log lacks")
    assert server.workers() == [worker]


def test_logs_that_cannot_be_written_do_not_stop_a_start(home: Home) -> None:
    """A file is where the directory should be; the screen has all of it."""
    run_dir = home.var / "servers" / "web"
    run_dir.mkdir(parents=True)
    (run_dir / "logs").write_text("a file in the way")
    server = home.serve("web")
    assert server.get("/hello").text == "hello"
    server.wait_log("request.log cannot be written: ")


@pytest.mark.parametrize("sent", ["", "a" * 65, "with blank", "ünplain", "semi;colon"])
def test_an_id_that_is_not_plain_and_short_is_not_taken(home: Home, sent: str) -> None:
    """It would be written to logs as it is."""
    server = home.serve("web", apps={"webapp.py": APP})
    sent_bytes = sent.encode()
    with server.raw() as client:
        client.sendall(b"GET /id HTTP/1.0\r\nX-Request-ID: %b\r\n\r\n" % sent_bytes)
        assert re.search(rb"\r\n\r\n[0-9a-f]{6}-[0-9a-f]+$", client.makefile("rb").read())


# What is where


def test_each_log_has_its_own(home: Home) -> None:
    """Ours in server.log, the apps' in app.log, requests in request.log, all on the screen."""
    server = home.serve("web", apps={"webapp.py": APP})
    server.get("/say")
    server.get("/fail", {"X-Request-ID": "abc-123"})
    wait_line(server, "request.log", "/fail")
    app = read(server, "app.log")
    assert "[warning] web/0: the cart is empty\n" in app
    assert "[error] web/0: request abc-123, GET /fail: webapp.fail raised RuntimeError\n" in app
    assert "RuntimeError: on purpose" in app
    ours = read(server, "server.log")
    assert "[info] web: all workers are ready at http://127.0.0.1:" in ours
    assert "cart" not in ours and "RuntimeError" not in ours
    for text in ("the cart is empty", "all workers are ready", "GET /fail HTTP/1.1 500"):
        server.wait_log(text)


def test_a_line_for_each_request(home: Home) -> None:
    """Also for files that are missing, for what is no request, and for who has gone."""
    server = home.serve("web", apps={"webapp.py": APP})
    reply = server.get("/hello?", {"X-Request-ID": "abc"})
    server.get("/nothing")
    with server.raw() as client:
        client.sendall(b"nonsense\r\n\r\n")
        client.makefile("rb").read()
    log = wait_line(server, "request.log", " - - - 400 ")
    lines = [found for found in map(LINE.fullmatch, log.splitlines()) if found]
    assert [found["request"] for found in lines] == ["GET /hello?", "GET /nothing"]
    assert [found["status"] for found in lines] == ["200", "404"]
    assert lines[0]["id"] == "abc"
    assert int(lines[0]["size"]) > len(reply.body)


def test_json_lines_are_objects(home: Home) -> None:
    """Each line of each log, with a failure's trace in it."""
    server = home.serve("web", apps={"webapp.py": APP}, more="log_format = json")
    server.get('/hello?a="b"\\')
    server.get("/fail")
    wait_line(server, "request.log", "/fail")
    requests = [json.loads(line) for line in read(server, "request.log").splitlines()]
    assert [(each["method"], each["status"]) for each in requests][-1] == ("GET", 500)
    assert requests[0]["target"] == '/hello?a="b"\\'
    assert set(requests[0]) == {
        *("time", "peer", "method", "target", "version", "status", "bytes", "id", "wait_ms", "ms")
    }
    (failure,) = [json.loads(line) for line in read(server, "app.log").splitlines()]
    assert failure["level"] == "error"
    assert "RuntimeError: on purpose" in failure["trace"]
    assert all(json.loads(line)["text"] for line in read(server, "server.log").splitlines())


def test_no_access_log_writes_none(home: Home) -> None:
    """Neither a file nor on the screen; messages are as ever."""
    server = home.serve("web", apps={"webapp.py": APP}, more="access_log = no")
    server.get("/say")
    server.wait_log("the cart is empty")
    assert server.stop() == 0
    assert not log_path(server, "request.log").exists()
    assert "GET /say" not in server.log()


def test_the_last_lines_are_not_lost(home: Home) -> None:
    """What was answered is written before the worker ends."""
    server = home.serve("web")
    for _ in range(20):
        server.get("/hello")
    assert server.stop() == 0
    assert read(server, "request.log").count("GET /hello HTTP/1.1 200") == 20


# Rotation


def test_a_log_that_was_moved_away_is_begun_anew(home: Home) -> None:
    """At the next line without being told, and at once with SIGUSR1."""
    server = home.serve("web", processes=2)
    server.get("/hello")
    wait_line(server, "request.log", "/hello")
    log_path(server, "request.log").rename(log_path(server, "request.log.1"))
    server.get("/hello")
    wait_line(server, "request.log", "/hello")
    for name in ("server.log", "request.log"):
        log_path(server, name).rename(log_path(server, f"{name}.2"))
    server.send(signal.SIGUSR1)
    wait_line(server, "server.log", "logs are reopened")
    wait_until(lambda: log_path(server, "request.log").exists(), "there is a new request.log")
    assert read(server, "request.log.1").count("/hello") == 1


def test_rotation_by_size_keeps_so_many_and_loses_nothing(home: Home) -> None:
    """Two workers write to one file; only one of them renames it."""
    size = "log_rotate = size\nlog_max_size = 2000\nlog_keep = 1000"
    server = home.serve("web", processes=2, more=size)
    for _ in range(100):
        server.get("/hello")
    assert server.stop() == 0
    files = list((server.run_dir / "logs").glob("request*.log"))
    assert sum(path.read_text().count("/hello") for path in files) == 100


def test_a_log_of_yesterday_makes_room(home: Home) -> None:
    """It has the date of the rotation; too many old ones are deleted."""
    logs = home.var / "servers" / "web" / "logs"
    logs.mkdir(parents=True)
    for age, name in enumerate(("request.log", "request-20200102.log", "request-20200101.log"), 2):
        (logs / name).write_text(f"{name} was here\n")
        moment = (logs / name).stat().st_mtime - age * 86400
        os.utime(logs / name, (moment, moment))
    server = home.serve("web", more="log_keep = 2")
    server.get("/hello")
    assert "was here" not in wait_line(server, "request.log", "/hello")
    old = sorted(logs.glob("request-*.log"))
    assert len(old) == 2
    assert old[0].name == "request-20200102.log"
    assert old[1].read_text() == "request.log was here\n"


def test_what_apps_print_follows_the_rotated_server_log(home: Home) -> None:
    """Under the fleet, standard output is server.log."""
    home.write_app("webapp.py", APP)
    port = home.write_conf("web")
    assert home.run("start").code == 0
    logs = home.var / "servers" / "web" / "logs"
    server_log = logs / "server.log"
    ready = server_log.read_text()
    assert ready.count("all workers are ready") == 1
    assert "/say" not in ready
    server_log.rename(logs / "server.log.1")
    pid = int((home.var / "servers" / "web" / "lock" / "pid").read_text())
    os.kill(pid, signal.SIGUSR1)
    wait_until(lambda: server_log.exists() and "reopened" in server_log.read_text(), "a new log")

    def is_printed() -> bool:
        Client(port).get("/say")
        return "printed by the app" in server_log.read_text()

    wait_until(is_printed, "the app prints to the new server.log")
    # What is logged is written by the log writer's thread, which may come after the answer.
    app_log = logs / "app.log"
    wait_until(
        lambda: app_log.exists() and "the cart is empty" in app_log.read_text(), "it is logged"
    )
    assert home.run("stop").code == 0
