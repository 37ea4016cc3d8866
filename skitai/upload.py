"""What came in a multipart body: fields as text, files in temporary files.

Made by whatever has received the body, read in the handler. The files belong to the upload: they
are deleted when the request is answered and its handler has ended, at the latest when nobody has
the request any more. A handler that wants to keep one moves it away.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, BinaryIO


class UploadedFile(dict[str, Any]):
    """A file of a form: {"mimetype", "local", "remote", "size"}.

    mimetype: what the client says it is, in lower case, without parameters.
    local: path of the temporary file that holds it.
    remote: its bare name at the client, without directories and control characters; "" when
        that leaves nothing. Fit to be shown; a name to store it under is better made up.
    size: in bytes.
    """

    def __init__(self, mimetype: str, local: str, remote: str, size: int) -> None:
        super().__init__(mimetype=mimetype, local=local, remote=remote, size=size)

    @property
    def filename(self) -> str:
        """The same as ["remote"]."""
        name: str = self["remote"]
        return name

    def open(self) -> BinaryIO:
        """The file, for reading. Raises OSError."""
        return open(self["local"], "rb")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Move it to `path`, which is replaced if it exists; ["local"] is `path` then.

        It has the mode that a new file would have there. Raises OSError; then what was there
        still is, and nothing else.
        """
        target = os.fspath(path)
        beside = os.path.join(os.path.dirname(target), f".{secrets.token_hex(8)}")
        try:
            with open(beside, "xb") as new:
                self._move(new, target)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(beside)
        self["local"] = target

    def _move(self, new: BinaryIO, target: str) -> None:
        """new: a file beside the target, empty."""
        local = self["local"]
        os.chmod(local, stat.S_IMODE(os.fstat(new.fileno()).st_mode))
        try:
            os.replace(local, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            with self.open() as source:  # to another file system it is copied
                shutil.copyfileobj(source, new)
            new.close()  # all of it is there, or this raises
            os.replace(new.name, target)
            os.unlink(local)


class Upload:
    """The parts of one multipart body, in order: names, and text or a file each.

    discard: deletes the files that are still where they were; done by itself when the upload is
        collected, once in all.
    """

    __slots__ = ("__weakref__", "discard", "parts")

    def __init__(
        self,
        parts: Sequence[tuple[str, str | UploadedFile]],
        delete: Callable[[], object] = lambda: None,
    ) -> None:
        """delete: deletes the files. Called on any thread, so it may not wait for a lock."""
        self.parts = parts
        self.discard = weakref.finalize(self, delete)
