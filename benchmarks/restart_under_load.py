"""Reload, restart and kill a server under load, and count what each request came to.

    python benchmarks/restart_under_load.py [--reloads 20] [--restarts 10] [--kills 20]

Eight clients send GETs and 16 KiB POSTs without pause, on kept-alive and on fresh connections.
Reloads and restarts must lose nothing at all; a kill may break the connections of the killed
worker and no other, and nobody may ever be refused. The exit code says whether that held.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import bench
from mixed_load import APP, MixedLoad

BROKEN = "def broken(:\n"
PROCESSES = 2


class Home:
    """A fleet of one server, in a temporary directory."""

    def __init__(self, root: Path, port: int) -> None:
        self.app = root / "webapp.py"
        self.app.write_text(APP)
        enabled = root / "etc" / "skitaid" / "servers-enabled"
        enabled.mkdir(parents=True)
        (enabled / "web.conf").write_text(
            f"[server]\nip = 127.0.0.1\nport = {port}\nprocesses = {PROCESSES}\n"
            f"access_log = no\n[routes:line]\n/ = {root}/webapp\n"
        )
        self._command = [*bench.python("-m", "skitaid"), "--etc", str(root), "--var", f"{root}/var"]

    def skitaid(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A verb of the command, to its end."""
        return subprocess.run(
            [*self._command, *arguments], capture_output=True, text=True, check=False
        )

    def must(self, *arguments: str) -> str:
        """The same, which must succeed."""
        ran = self.skitaid(*arguments)
        if ran.returncode:
            sys.exit(f"skitaid {' '.join(arguments)} failed:\n{ran.stdout}{ran.stderr}")
        return ran.stdout

    def workers(self) -> list[int]:
        """The pids of those that are ready."""
        status = json.loads(self.must("status", "--json"))
        workers = status["servers"][0]["workers"]
        return [worker["pid"] for worker in workers if worker["state"] == "ready"]


@contextmanager
def fleet() -> Iterator[tuple[Home, int]]:
    """The running fleet and its port, for the time of the block."""
    port = bench.free_port()
    with tempfile.TemporaryDirectory(prefix="skitai-bench-") as directory:
        home = Home(Path(directory), port)
        home.must("start")
        try:
            yield home, port
        finally:
            home.must("stop")


def phase(name: str, times: int, port: int, act: Callable[[], int | None]) -> bool:
    """Do something again and again under load; prints the outcomes. Whether all is well.

    act: returns the pid of the worker whose connections may break, None if none may.
    """
    load = MixedLoad(port)
    load.start()
    began = time.monotonic()
    excused: set[int | None] = set()
    for _ in range(times):
        wanted = load.answers + 100
        while load.answers < wanted:
            time.sleep(0.01)
        victim = act()
        if victim is not None:
            excused |= {victim, None}  # None: a first request, of which nobody knows whose it was
    outcomes = load.stop()
    allowed = {"ok", "reset", "cut off"} if excused else {"ok"}
    is_well = set(outcomes) <= allowed and set(load.broken_by) <= excused
    counts = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items()))
    verdict = "" if is_well else "   <-- not as it must be"
    seconds = time.monotonic() - began
    print(f"{times:3} x {name:<28} in {seconds:5.1f} s: {counts}{verdict}", flush=True)
    return is_well


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--reloads", type=int, default=20)
    options.add_argument("--restarts", type=int, default=10)
    options.add_argument("--kills", type=int, default=20)
    given = options.parse_args()

    with fleet() as (home, port):

        def reload() -> None:
            home.must("reload", "web")

        def restart() -> None:
            home.must("restart", "web")

        def reload_broken() -> None:
            home.app.write_text(BROKEN)
            ran = home.skitaid("reload", "web")
            home.app.write_text(APP)
            if ran.returncode == 0 or "SyntaxError" not in ran.stderr:
                sys.exit(f"the broken app was not noticed:\n{ran.stdout}{ran.stderr}")

        def kill() -> int:
            victim = random.choice(home.workers())
            os.kill(victim, signal.SIGKILL)
            deadline = time.monotonic() + 2
            while len(new := home.workers()) < PROCESSES or victim in new:
                if time.monotonic() > deadline:  # so many in a row look like a crash loop
                    home.must("reload", "web")  # an operator's word ends the pause
                time.sleep(0.05)
            return victim

        well = [
            phase("reload", given.reloads, port, reload),
            phase("restart (re-exec)", given.restarts, port, restart),
            phase("reload with a syntax error", 3, port, reload_broken),
            phase("kill -9 of a random worker", given.kills, port, kill),
        ]
    sys.exit(0 if all(well) else 1)


if __name__ == "__main__":
    main()
