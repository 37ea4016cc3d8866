"""What deploy/ has run in the foreground: the exec line of upstart, the CMD of the container.

Neither upstart nor a container engine is run: what they would start, signal and judge by is read
from the files and done here.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from around import DAEMON, DEPLOY, install
from operator_session import Home
from served import Client
from waits import PATIENCE, wait_until

UPSTART = (DEPLOY / "upstart" / "skitaid.conf").read_text()
CONTAINER = (DEPLOY / "container" / "Containerfile").read_text()
NEW_PIDS = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]


def said(text: str, pattern: str) -> str:
    """What the only line of a file says that has this form."""
    (found,) = re.findall(rf"^{pattern}$", text, re.MULTILINE)
    return str(found)


@contextmanager
def running(home: Home, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A command in the foreground, while its server answers."""
    home.write_app("webapp.py")
    web = Client(home.write_conf("web"))
    process = subprocess.Popen(command, env=home.environment, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _answers(web), "the server answers")
        yield process
    finally:
        process.kill()  # if it has not ended as it should
        process.wait()


def _answers(web: Client) -> bool:
    try:
        return web.get("/hello").text == "hello"
    except ConnectionRefusedError:
        return False


def upstart_command(home: Home) -> list[str]:
    return shlex.split(said(UPSTART, "exec (.+)").replace(DAEMON, str(install(home))))


def normal_exits() -> list[int]:
    return [int(code) for code in said(UPSTART, "normal exit (.+)").split()]


def test_upstart_does_not_respawn_what_would_fail_again(home: Home) -> None:
    """Confs with mistakes are a normal exit."""
    home.write_conf("web", more="threadss = 4")
    assert home.run_command(upstart_command(home)).code in normal_exits()


def test_upstart_runs_the_fleet_itself(home: Home) -> None:
    """As it expects neither fork nor daemon, the pid it knows is the fleet's."""
    with running(home, upstart_command(home)) as process:
        assert (home.var / "lock" / "pid").read_text().strip() == str(process.pid)
        process.send_signal(signal.Signals[f"SIG{said(UPSTART, 'kill signal (.+)')}"])
        assert process.wait(PATIENCE) in normal_exits()
    home.assert_nothing_runs()


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run([*NEW_PIDS, "true"], capture_output=True, check=False).returncode != 0,
    reason="no processes can be unshared here",
)
def test_the_container_s_command_is_process_1_and_stops_as_told(home: Home) -> None:
    """By its CMD, in a pid namespace of its own; its STOPSIGNAL ends it well."""
    command: list[str] = json.loads(said(CONTAINER, "CMD (.+)"))
    command[0] = str(install(home))
    with running(home, [*NEW_PIDS, *command]) as process:
        assert (home.var / "lock" / "pid").read_text().strip() == "1"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        os.kill(int(children), signal.Signals[said(CONTAINER, "STOPSIGNAL (.+)")])
        assert process.wait(PATIENCE) == 0
    home.assert_nothing_runs()
