"""Which sink a body goes to: on to a member, forms with files to disk, all others to memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from skitai.request import MULTIPART
from skitaid.workers.settings import Limits

from .body import BodyOwner, BodySink, MemoryBody, too_large
from .framing import Framing
from .uploads import Uploads


class Bodies:
    """The sinks of a worker.

    passed_on: of each proxy; a sink for requests that are its own, None for all others.
    """

    def __init__(
        self,
        limits: Limits,
        uploads: Uploads,
        passed_on: Sequence[Callable[[str, bytes, Framing, BodyOwner], BodySink | None]] = (),
    ) -> None:
        self._limit = limits.body_size
        self._uploads = uploads
        self._passed_on = passed_on

    def choose(
        self,
        method: str,
        target: bytes,
        fields: list[tuple[bytes, bytes]],
        framing: Framing,
        owner: BodyOwner,
    ) -> BodySink:
        """See `body.ChooseSink`."""
        for choose in self._passed_on:
            sink = choose(method, target, framing, owner)
            if sink is not None:
                return sink
        for name, value in fields:
            if name.lower() == b"content-type":
                if value.partition(b";")[0].strip().lower() == MULTIPART:
                    return self._uploads.receive(value, framing.length, owner)
                break
        if framing.length > self._limit:
            raise too_large(self._limit)
        return MemoryBody(self._limit)
