"""The one thread of a process that writes its logs, so that nobody else ever waits for a disk.

Lines come through a queue that is bounded for each channel. When the disk is full, or slower
than what there is to write, lines are dropped and counted, and it is said how many when writing
works again: a log with a hole in it must not look whole. What cannot be written is not kept:
a disk that is full for an hour would otherwise become a memory that is full.

Each channel has one poster, a thread or whoever holds a lock, so its counters need no lock: the
poster writes `posted` and `refused`, the thread writes the others.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from .outlet import Outlet

QUEUE_MAX = 20_000  # lines of one channel, some MB
BATCH_MAX = 1000  # items taken from the queue at once

Report = Callable[[int, str], None]


class Channel:
    """The lines of one poster on their way to one outlet."""

    __slots__ = ("broken", "done", "failed", "outlet", "posted", "refused", "told")

    def __init__(self, outlet: Outlet) -> None:
        self.outlet = outlet
        self.posted = 0  # lines that went into the queue
        self.refused = 0  # lines for which it was full
        self.done = 0  # lines that have left it
        self.failed = 0  # of these, those that could not be written
        self.told = 0  # lost lines that were spoken of
        self.broken = ""  # why writing fails at the moment


# What waits in the queue: lines, who wants to know that all before it is written, files to reopen.
Item = tuple[Channel, bytes, int] | threading.Event | list[Outlet]


class LogWriter:
    """Writes for all channels of a process."""

    def __init__(self, report: Report) -> None:
        """report: level and text of a message about the logs themselves; on the thread."""
        self._report = report
        self._queue: queue.SimpleQueue[Item] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="log writer", daemon=True).start()

    def post(self, channel: Channel, data: bytes, lines: int = 1) -> None:
        """Write `data`, which is so many whole lines, soon. From the channel's poster."""
        if channel.posted - channel.done >= QUEUE_MAX:
            channel.refused += lines
            return
        channel.posted += lines
        self._queue.put((channel, data, lines))

    def flush(self, seconds: float) -> None:
        """Wait until all that was posted is written, but not for ever."""
        done = threading.Event()
        self._queue.put(done)
        done.wait(seconds)

    def reopen(self, outlets: list[Outlet]) -> None:
        """Have new files. From the loop."""
        self._queue.put(outlets)

    def _run(self) -> None:
        while True:
            batch = [self._queue.get()]
            while len(batch) < BATCH_MAX:
                try:
                    batch.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            self._write(batch)

    def _write(self, batch: list[Item]) -> None:
        pieces: dict[Channel, list[bytes]] = {}
        lines: dict[Channel, int] = {}
        for item in batch:
            if isinstance(item, tuple):
                channel, data, count = item
                pieces.setdefault(channel, []).append(data)
                lines[channel] = lines.get(channel, 0) + count
        for channel, data_of in pieces.items():
            self._write_channel(channel, b"".join(data_of), lines[channel])
        for item in batch:
            if isinstance(item, list):
                self._reopen(item)
            elif isinstance(item, threading.Event):
                item.set()

    def _write_channel(self, channel: Channel, data: bytes, lines: int) -> None:
        channel.done += lines
        try:
            channel.outlet.write(data)
        except OSError as error:
            channel.failed += lines
            self._fails(channel, error.strerror or str(error))
        else:
            self._works(channel)

    def _fails(self, channel: Channel, reason: str) -> None:
        if channel.broken != reason:
            channel.broken = reason
            self._report(
                logging.ERROR, f"{channel.outlet.name} cannot be written: {reason}; lines are lost"
            )

    def _works(self, channel: Channel) -> None:
        lost = channel.failed + channel.refused
        if lost == channel.told:
            return
        reason = channel.broken or "they came faster than they could be written"
        missing, channel.told, channel.broken = lost - channel.told, lost, ""
        self._report(logging.WARNING, f"{channel.outlet.name} lacks {missing} lines: {reason}")

    def _reopen(self, outlets: list[Outlet]) -> None:
        for outlet in outlets:
            try:
                outlet.reopen()
            except OSError as error:
                self._report(logging.ERROR, f"{outlet.name} cannot be opened: {error}")
