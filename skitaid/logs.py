"""`skitaid logs`: the ends of logs, and what is added to them as it comes.

Follows by inotify and survives rotation: a log is read to its end under its old name, then the
new file of that name from its beginning. Runs in the command's process.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Sequence
from pathlib import Path

from inotify_simple import flags

from skitaid.errors import SkitaidError, did_you_mean
from skitaid.fleet.watch import CHANGES, Watch
from skitaid.paths import Paths
from skitaid.places import fleet_log, server_log

BLOCK = 65536  # bytes read at once


class Log:
    """A log file as its reader sees it: by its path, wherever the file goes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1

    def last(self, lines: int) -> bytes:
        """Its last lines; from now on only what is added is `more`."""
        self._open()
        return _last_lines(self._rest(), lines) if self._descriptor >= 0 else b""

    def more(self) -> bytes:
        """What was added since, also to a new file of the name."""
        text = self._rest()
        if self._is_replaced():
            text += self._rest()  # until the move it was still written to
            self._open()
            text += self._rest()
        return text

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        self.close()
        try:
            self._descriptor = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:  # between move and new file, or not yet begun
            pass
        except OSError as error:
            raise SkitaidError(f"{self.path} cannot be read: {error.strerror}") from None

    def _rest(self) -> bytes:
        if self._descriptor < 0:
            return b""
        if os.fstat(self._descriptor).st_size < os.lseek(self._descriptor, 0, os.SEEK_CUR):
            os.lseek(self._descriptor, 0, os.SEEK_SET)  # it was cut off, and begins anew
        blocks = []
        while block := os.read(self._descriptor, BLOCK):
            blocks.append(block)
        return b"".join(blocks)

    def _is_replaced(self) -> bool:
        try:
            at_path = os.stat(self.path)
        except FileNotFoundError:
            return False
        return self._descriptor < 0 or not os.path.samestat(at_path, os.fstat(self._descriptor))


def logs(paths: Paths, names: Sequence[str], kind: str) -> list[Log]:
    """The logs of these servers; without names the fleet's, and those of all its servers.

    `kind` is the log's name without its end: "server", "request" or "app". Raises `SkitaidError`.
    """
    known = _known(paths)
    unknown = [name for name in names if name not in known]
    if unknown:
        hint = did_you_mean(unknown[0], known)
        raise SkitaidError(f"there is no server {unknown[0]} with a log{hint}")
    files = [server_log(paths, name).with_name(f"{kind}.log") for name in names or known]
    return [Log(path) for path in ([] if names else [fleet_log(paths)]) + files]


def show(chosen: Sequence[Log], lines: int, write: Callable[[bytes], None]) -> None:
    """The last lines of each; of several with its path above, as tail does."""
    for log in chosen:
        _write(log, log.last(lines), chosen, write)


def follow(chosen: Sequence[Log], lines: int, write: Callable[[bytes], None]) -> None:
    """The same, and then what is added to any of them, until Ctrl-C."""
    watch = Watch(CHANGES | flags.MODIFY)
    try:
        for log in chosen:
            log.path.parent.mkdir(parents=True, exist_ok=True)  # else there is nothing to watch
        watch.aim(_by_directory(chosen))
        show(chosen, lines, write)
        while True:
            select.select([watch], [], [])
            watch.take()
            for log in chosen:
                _write(log, log.more(), chosen, write)
    except KeyboardInterrupt:
        pass  # that is how one leaves
    finally:
        watch.close()


def _write(log: Log, text: bytes, chosen: Sequence[Log], write: Callable[[bytes], None]) -> None:
    if text:
        head = f"==> {log.path} <==\n".encode() if len(chosen) > 1 else b""
        write(head + text)


def _by_directory(chosen: Sequence[Log]) -> dict[Path, frozenset[str] | None]:
    directories = {log.path.parent for log in chosen}
    return {
        directory: frozenset(log.path.name for log in chosen if log.path.parent == directory)
        for directory in directories
    }


def _known(paths: Paths) -> list[str]:
    """Those that are enabled, and those that have left a log."""
    left = {path.parent.parent.name for path in paths.run_dir("").glob("*/logs/server.log")}
    return sorted(left | set(paths.enabled()))


def _last_lines(text: bytes, lines: int) -> bytes:
    return b"".join(text.splitlines(keepends=True)[-lines:]) if lines else b""
