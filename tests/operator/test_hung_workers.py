"""Workers that hang, get old, or do not get ready: the server goes on."""

from __future__ import annotations

import os
import signal

from operator_session import HELLO, Home
from waits import wait_until

HANGS_ON_IMPORT = "import time\ntime.sleep(3600)\n"


def test_a_stopped_worker_is_replaced(home: Home) -> None:
    """The log says how long it was silent; the server answers as before."""
    server = home.serve("web", processes=2, more="worker_timeout = 1s")
    stopped, well = server.workers()
    os.kill(stopped, signal.SIGSTOP)
    log = server.wait_log("is ready", times=3)
    assert f"worker 0 (pid {stopped}) gave no sign of life for" in log
    server.wait_log(f"(pid {stopped}) did not leave in time and is killed")
    wait_until(lambda: stopped not in server.workers(), "it is reaped")
    assert well in server.workers()
    assert server.get("/hello").text == "hello"


def test_an_app_that_imports_for_ever_ends_the_start(home: Home) -> None:
    """The log shows where it hangs."""
    home.write_app("webapp.py", HANGS_ON_IMPORT)
    home.write_conf("web", more="boot_timeout = 1s")
    ran = home.run("serve", "web")
    assert ran.code == 1
    assert "was not ready 1 s after its fork" in ran.err
    assert 'webapp.py", line 2 in <module>' in ran.err


def test_an_app_that_imports_for_ever_is_not_taken_over(home: Home) -> None:
    """The old worker goes on."""
    server = home.serve("web", more="boot_timeout = 2s")
    home.write_app("webapp.py", HANGS_ON_IMPORT)
    ran = home.run("reload", "web")
    assert ran.code == 1
    assert "was not ready 2 s after its fork" in ran.err
    assert server.get("/hello").text == "hello"


def test_workers_get_old(home: Home) -> None:
    """And are replaced, again and again."""
    server = home.serve("web", apps={"webapp.py": HELLO}, more="max_age = 0.2s")
    server.wait_log("is ready", times=3)
    assert "is to be replaced: it has reached max_age" in server.log()
    assert server.get("/hello").text == "hello"
