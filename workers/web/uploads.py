"""Multipart bodies on their way to disk.

The loop takes the bytes as they come; threads parse and write them, one at a time for each
upload; the outcome comes back through the hand-off. Its law:

- The loop never waits for a disk, and a file is never in memory: of an upload no more than
  `WAITING_MAX` bytes wait while as many are being written. Beyond that its client is not read.
- What is not larger than an ordinary body may be is kept beside, as it came, for `get_body`.
- Whatever becomes of an upload, its files are deleted, unless an app has moved them: by the
  sink until the request is complete, then by the `Upload` that the request has.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial

import msgspec

from skitai.request import Request
from skitai.upload import Upload
from skitaid.workers.handoff import Handoff
from skitaid.workers.settings import Limits

from .body import BodyOwner
from .framing import Refusal
from .multipart import PartReader, boundary_of
from .part_files import PartFiles, delete
from .upload_directory import UploadDirectory

log = logging.getLogger(__name__)

THREADS = 4  # of a worker; more would only wait for the same disk
WAITING_MAX = 1024 * 1024  # bytes of one upload
OF_A_PIECE = 64  # bytes that the object takes besides; pieces may be tiny


class Uploads:
    """What all uploads of a worker share."""

    def __init__(
        self,
        limits: Limits,
        directory: UploadDirectory,
        handoff: Handoff,
        executor: Executor | None = None,
    ) -> None:
        """executor: whose threads do the work; its own by default."""
        self.limits = limits
        self.directory = directory
        self.handoff = handoff
        self._executor = executor or ThreadPoolExecutor(THREADS, "upload")

    def receive(self, content_type: bytes, length: int, owner: BodyOwner) -> UploadBody:
        """A sink for a body of `length` bytes, 0 if that is not known. Raises Refusal."""
        if length > self.limits.upload_size:
            raise _too_large(self.limits)
        return UploadBody(self, boundary_of(content_type), length, owner)

    def run(self, job: Callable[[], None]) -> None:
        """On a thread. The job raises nothing."""
        self._executor.submit(job)

    def close(self) -> None:
        """Wait for the threads and remove all files. For the end of the worker."""
        self._executor.shutdown()
        self.directory.remove()


class UploadBody:
    """The sink of one upload."""

    streamed = None

    __slots__ = (
        "_files",
        "_is_at_work",
        "_is_held",
        "_owner",
        "_pieces",
        "_raw",
        "_refusal",
        "_request",
        "_size",
        "_uploads",
        "_waiting",
        "_waiting_size",
    )

    def __init__(self, uploads: Uploads, boundary: bytes, length: int, owner: BodyOwner) -> None:
        limits = uploads.limits
        self._uploads = uploads
        self._files = PartFiles(PartReader(boundary, limits), uploads.directory)
        self._owner: BodyOwner | None = owner  # None when it wants to hear no more
        self._request: Request | None = None  # when the end of the body has come
        self._size = 0
        self._raw: list[bytes] | None = [] if length <= limits.body_size else None
        self._waiting: list[bytes] = []
        self._waiting_size = 0
        self._is_held = False
        # While it is at work these are the thread's: what it is given, and what it leaves.
        self._is_at_work = False
        self._pieces: list[bytes] = []
        self._refusal: Refusal | None = None

    # --- body.BodySink ---

    def feed(self, piece: bytes) -> None:
        self._size += len(piece)
        limits = self._uploads.limits
        if self._size > limits.upload_size:
            raise _too_large(limits)
        if self._raw is not None:
            if self._size <= limits.body_size:
                self._raw.append(piece)
            else:
                self._raw = None
        self._waiting.append(piece)
        self._waiting_size += len(piece) + OF_A_PIECE
        if not self._is_at_work:
            self._work_on()
        elif self._waiting_size > WAITING_MAX and not self._is_held:
            self._is_held = True
            assert self._owner is not None
            self._owner.hold_body()

    def finish(self, request: Request) -> bool:
        self._request = request
        if self._is_at_work:
            return False
        self._complete(request)
        return True

    def abandon(self) -> None:
        if self._owner is not None:
            self._owner = None
            self._waiting.clear()
            if not self._is_at_work:
                self._uploads.run(self._files.discard)

    # --- the work ---

    def _work_on(self) -> None:
        self._pieces, self._waiting, self._waiting_size = self._waiting, [], 0
        self._is_at_work = True
        self._uploads.run(self._work)

    def _work(self) -> None:
        """On a thread."""
        try:
            self._files.write(b"".join(self._pieces))
        except Refusal as refusal:
            self._refusal = refusal
        except OSError as error:
            log.error("an upload cannot be stored: %s", error)
            self._refusal = _failed()
        except Exception:  # a defect of ours: the client must have an answer
            log.exception("an upload cannot be read")
            self._refusal = _failed()
        self._pieces.clear()
        self._uploads.handoff.post(self)

    def on_loop(self) -> None:
        """The thread is done."""
        self._is_at_work = False
        owner = self._owner
        if owner is None:  # abandoned meanwhile
            self._uploads.run(self._files.discard)
        elif self._refusal is not None:
            self._refuse(owner, self._refusal)
        elif self._waiting:
            self._work_on()
            if self._is_held:
                self._is_held = False
                owner.release_body()
        elif self._request is not None:
            try:
                self._complete(self._request)
            except Refusal as refusal:
                self._refuse(owner, refusal)
            else:
                owner.body_stored(self)

    def _refuse(self, owner: BodyOwner, refusal: Refusal) -> None:
        self.abandon()
        owner.body_refused(self, refusal)

    def _complete(self, request: Request) -> None:
        self._files.end()
        self._owner = None
        if self._raw is not None:
            request.body = b"".join(self._raw)
        deletion = Deletion(self._uploads, self._files.paths)
        request.upload = Upload(self._files.parts, deletion.post)


class Deletion(msgspec.Struct, frozen=True):
    """The files of an upload are no longer wanted. It holds nothing that holds the upload."""

    uploads: Uploads
    paths: list[str]

    def post(self) -> None:
        """From any thread, also in the middle of something: it takes no lock."""
        if self.paths:
            self.uploads.handoff.post(self)

    def on_loop(self) -> None:
        """Not here: to delete a large file takes a while."""
        self.uploads.run(partial(delete, self.paths))


def _too_large(limits: Limits) -> Refusal:
    limit = limits.upload_size
    return Refusal(413, f"The upload is larger than {limit} bytes (max_upload_size).")


def _failed() -> Refusal:
    return Refusal(500, "The upload could not be stored; the server's log says why.")
