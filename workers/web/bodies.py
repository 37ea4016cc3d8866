"""Which sink a body goes to: forms with files to disk, all others to memory."""

from __future__ import annotations

from skitai.request import MULTIPART
from skitaid.workers.settings import Limits

from .body import BodyOwner, BodySink, MemoryBody, too_large
from .framing import Framing
from .uploads import Uploads


class Bodies:
    """The sinks of a worker."""

    def __init__(self, limits: Limits, uploads: Uploads) -> None:
        self._limit = limits.body_size
        self._uploads = uploads

    def choose(
        self, fields: list[tuple[bytes, bytes]], framing: Framing, owner: BodyOwner
    ) -> BodySink:
        """See `body.ChooseSink`."""
        for name, value in fields:
            if name.lower() == b"content-type":
                if value.partition(b";")[0].strip().lower() == MULTIPART:
                    return self._uploads.receive(value, framing.length, owner)
                break
        if framing.length > self._limit:
            raise too_large(self._limit)
        return MemoryBody(self._limit)
