"""As process 1 of a container: orphans become its children, and no zombies."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from operator_session import HELLO, Home
from served import Client, Log
from waits import PATIENCE, wait_until

OWN_NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]

# Runs a program in the background, which ends when somebody writes to the FIFO.
LEAVES_ORPHANS = """

@app.route("/orphan")
def orphan(was):
    import subprocess

    subprocess.run(["sh", "-c", "exec cat '{fifo}' & exit 0"], check=True)
    return "left"
"""


class Container:
    """A home whose servers are in a namespace of pids of their own. No pid is said but ours."""

    def __init__(self, home: Home) -> None:
        self.fifo = home.root / "fifo"
        os.mkfifo(self.fifo)
        home.write_app("webapp.py", HELLO + LEAVES_ORPHANS.format(fifo=self.fifo))
        self.client = Client(home.write_conf("web"))
        self._home = home

    def run(self, *arguments: str) -> None:
        """`skitaid ARGUMENTS` as process 1, which serves."""
        reader, writer = os.pipe()
        self._outside = subprocess.Popen(
            [*OWN_NAMESPACE, *self._home.skitaid, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=writer,
            env=self._home.environment,
        )
        os.close(writer)
        self.log = Log(reader)

    @property
    def process_1(self) -> psutil.Process:
        (inside,) = psutil.Process(self._outside.pid).children()
        return inside

    def leave_orphan(self) -> int:
        """The pid of a living child of process 1 that an app has started."""
        assert self.client.get("/orphan").text == "left"

        def orphans() -> list[int]:
            return [each.pid for each in self.process_1.children() if each.name() == "cat"]

        wait_until(orphans, "the program in the background runs")
        return orphans()[0]

    def let_go(self) -> None:
        """All orphans end."""
        self.fifo.write_text("")

    def stop(self) -> int:
        """Tell process 1 to stop; the exit code."""
        self.process_1.send_signal(signal.SIGTERM)
        code = self._outside.wait(PATIENCE)
        self.log.close()
        return code

    def kill(self) -> None:
        """Whatever is left ends with its process 1."""
        if self._outside.poll() is None:
            self._outside.kill()
            self._outside.wait()
            self.log.close()


@pytest.fixture
def container(home: Home) -> Iterator[Container]:
    if subprocess.run([*OWN_NAMESPACE, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not have a namespace of pids")
    container = Container(home)
    yield container
    container.kill()  # before `home` looks who runs: it would take the pid 1 for the machine's


def test_a_server_buries_what_its_apps_leave(container: Container) -> None:
    """And still knows how its own workers ended."""
    container.run("serve", "web")
    container.log.wait_for("all workers are ready")
    orphans = [container.leave_orphan()]
    (worker,) = [each for each in container.process_1.children() if each.pid != orphans[0]]
    worker.kill()
    container.log.wait_for("was killed by SIGKILL; another takes its place now")
    container.let_go()
    wait_until(lambda: not any(map(psutil.pid_exists, orphans)), "they are buried")
    assert container.stop() == 0


def test_a_restarted_server_buries_them_too(container: Container) -> None:
    """Those that its last program has inherited."""
    container.run("serve", "web")
    container.log.wait_for("all workers are ready")
    orphan = container.leave_orphan()
    container.process_1.send_signal(signal.SIGUSR2)
    container.log.wait_for("the restart is complete")
    container.let_go()
    wait_until(lambda: not psutil.pid_exists(orphan), "it is buried")
    assert container.stop() == 0


def test_a_fleet_buries_what_the_apps_of_its_servers_leave(
    container: Container, home: Home
) -> None:
    """A killed master's workers, which become its children as well; the master comes back."""
    container.run("start", "--foreground")
    container.log.wait_for("web is ready")
    orphan = container.leave_orphan()
    (master,) = [each for each in container.process_1.children() if each.pid != orphan]
    (worker,) = master.children()
    master.kill()
    container.log.wait_for("web: master was killed by SIGKILL")
    wait_until(lambda: not psutil.pid_exists(worker.pid), "the worker has left, and is buried")
    container.let_go()
    wait_until(lambda: not psutil.pid_exists(orphan), "the orphan is buried")
    container.log.wait_for("web is ready", times=2)
    assert container.client.get("/hello").text == "hello"
    assert container.stop() == 0
    assert not Path(home.var / "lock" / "pid").exists()
