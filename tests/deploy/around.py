"""What stands around Skitai on a machine: the installed command, and who is run for it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from mixed_load import APP, MixedLoad
from operator_session import CHECKOUT, Home
from served import Log
from waits import PATIENCE, wait_until

DEPLOY = CHECKOUT / "deploy"
DAEMON = "/usr/local/bin/skitaid"

SCRIPT = """\
#!/bin/sh
PYTHONPATH={checkout} SKITAID_ETC={etc} SKITAID_VAR={var} exec {python} -m skitaid "$@"
"""

TELLS = (
    APP
    + """

@app.route("/hello")
def hello(was):
    return "hello"


@app.route("/who")
def who(was):
    names = ("Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Request-ID", "Connection")
    return {name: was.request.get_header(name) for name in names}
"""
)


def install(home: Home) -> Path:
    """The command as a file that needs no environment, as cron and init scripts have none."""
    daemon = home.root / "skitaid"
    text = SCRIPT.format(checkout=CHECKOUT, etc=home.etc, var=home.var, python=sys.executable)
    daemon.write_text(text)
    daemon.chmod(0o755)
    return daemon


def sample(path: str, changes: dict[str, str]) -> str:
    """A file of deploy/ with its places and ports changed; each of them must be there."""
    text = (DEPLOY / path).read_text()
    for old, new in changes.items():
        assert old in text, f"deploy/{path} has no {old!r}"
        text = text.replace(old, new)
    return text


def uncommented(text: str, first: str, last: str = "") -> str:
    """With the lines from `first` to `last` without the # that they begin with."""
    block = re.search(rf"^ *#{re.escape(first)}(.|\n)*?{re.escape(last)}$", text, re.MULTILINE)
    assert block, f"there is no comment {first!r}"
    lines = re.sub(r"^( *)#", r"\1", block[0], flags=re.MULTILINE)
    return text.replace(block[0], lines)


def control(home: Home, *command: str) -> None:
    """`skitaid COMMAND`, which must succeed."""
    ran = home.run(*command)
    assert ran.code == 0, ran.err


def failures_while_rolled(home: Home, port: int) -> dict[str, int]:
    """What goes wrong for clients of whoever stands before the servers, of TELLS, while these are
    restarted and reloaded.
    """
    load = MixedLoad(port)
    load.start()
    try:
        for verb in ("restart", "reload", "restart"):
            _wait_for_answers(load)
            control(home, verb)
        _wait_for_answers(load)
    finally:
        load.stop()
    return load.failures()


def _wait_for_answers(load: MixedLoad) -> None:
    wanted = load.answers + 100
    wait_until(lambda: load.answers >= wanted, "100 more right answers")


class Program:
    """One that stays in the foreground and says on stderr what it does."""

    def __init__(self, command: list[str], ready: str) -> None:
        """Comes back when it has said `ready`."""
        reader, writer = os.pipe()
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=writer, start_new_session=True
        )
        os.close(writer)
        self._log = Log(reader)
        try:
            self._log.wait_for(ready)
        except AssertionError:
            self._kill()
            raise

    def stop(self, number: signal.Signals) -> None:
        """It must end well, and all that it has started."""
        try:
            wait_until(lambda: self._catches(number), f"{self._process.args} minds {number.name}")
            self._process.send_signal(number)
            code = self._process.wait(PATIENCE)
            self._log.close()
        except (subprocess.TimeoutExpired, AssertionError):
            self._kill()
            raise
        assert code == 0, self._log.text()

    def _catches(self, number: signal.Signals) -> bool:
        """HAProxy says that it is up a moment before; a signal in between is lost. See proc(5)."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        caught = int(status.split("SigCgt:", 1)[1].split(maxsplit=1)[0], 16)
        return bool(caught >> (number - 1) & 1)

    def _kill(self) -> None:
        """With all that it has started."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
