"""A real master with a worker that behaves as it is told: `python small_server.py SPEC`.

SPEC is JSON: name, port, processes, run_dir, drain_timeout and `manner`, a file that holds how a
worker behaves that is forked now, so a test can change it while the server runs:

    good        ready at once, answers each connection with its pid, obeys
    broken      says that it cannot boot
    mute        dies before it is ready, without a word
    raises      its code raises
    deaf        is ready, and ignores all that the master says, even its end
    slow        is ready, and when told to retire says how much is in flight and stays
    quits       is ready, and leaves by itself at the first connection, with exit code 3
"""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import sys
import time
from pathlib import Path

from skitaid.pidfile import PidFile
from skitaid.supervisor import log
from skitaid.supervisor.master import Master
from skitaid.supervisor.notify import Notify
from skitaid.supervisor.service_manager import ServiceManager
from skitaid.supervisor.settings import Settings
from skitaid.workers import control
from skitaid.workers import settings as worker
from skitaid.workers.doors import Doors
from skitaid.workers.scoreboard import Scoreboard


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("spec", type=json.loads)
    parser.add_argument("--notify-fd", type=int)
    given = parser.parse_args()
    spec = given.spec
    manner = Path(spec.pop("manner"))
    settings = Settings(
        **spec, ip="127.0.0.1", worker=worker.Settings(name=spec["name"], routes=())
    )
    pid_file = PidFile(Path(settings.run_dir) / "lock" / "pid", "server")
    log.set_up(settings.name)

    def run_worker(
        _: worker.Settings,
        doors: Doors,
        pipe: socket.socket,
        ordinal: int,
        scoreboard: Scoreboard,
    ) -> int:
        return behave(manner.read_text().strip(), doors.listener, pipe)

    notify = Notify(given.notify_fd)
    master = Master(
        settings,
        run_worker,
        load=lambda: settings,
        notify=notify,
        service_manager=ServiceManager(),
        not_inherited=(pid_file,),
    )
    code = master.run()
    pid_file.remove()
    return code


def behave(manner: str, listener: socket.socket, pipe: socket.socket) -> int:
    if manner == "broken":
        control.send(pipe, control.BootFailed("ImportError: no webapp today"))
        return control.EXIT_BOOT_FAILED
    if manner == "mute":
        return 7
    if manner == "raises":
        raise RuntimeError("a defect of the worker")
    control.send(pipe, control.Ready())
    if manner == "deaf":
        time.sleep(3600)
    return serve(manner, listener, pipe)


def serve(manner: str, listener: socket.socket, pipe: socket.socket) -> int:
    while True:
        readable, _, _ = select.select([listener, pipe], [], [])
        if pipe in readable:
            record = control.receive_from_master(pipe)
            if manner == "slow" and isinstance(record, control.Retire):
                control.send(pipe, control.Draining(in_flight=1))
                continue
            return control.EXIT_CLEAN
        if manner == "quits":
            return 3
        answer(listener)


def answer(listener: socket.socket) -> None:
    try:
        connection, _ = listener.accept()
    except BlockingIOError:  # a sibling was faster
        return
    body = f"{os.getpid()}".encode()
    connection.recv(65536)
    connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    connection.close()


if __name__ == "__main__":
    sys.exit(main())
