"""The parts of one upload, as they come to be on disk. Used by one thread at a time."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from typing import BinaryIO

from skitai.upload import UploadedFile

from .multipart import Field, FileBegins, PartReader
from .upload_directory import UploadDirectory

log = logging.getLogger(__name__)


class PartFiles:
    """Writes what a reader finds.

    parts: name and value of each that is complete. paths: of all files that were made.
    """

    def __init__(self, reader: PartReader, directory: UploadDirectory) -> None:
        self.parts: list[tuple[str, str | UploadedFile]] = []
        self.paths: list[str] = []
        self._reader = reader
        self._directory = directory
        self._file: BinaryIO | None = None  # that is being written
        self._begun = FileBegins("", "", "")

    def write(self, data: bytes) -> None:
        """The next bytes of the body. Raises Refusal or OSError; then it is to be discarded."""
        for event in self._reader.feed(data):
            if isinstance(event, bytes):
                assert self._file is not None
                self._file.write(event)
            elif isinstance(event, Field):
                self.parts.append(event)
            elif isinstance(event, FileBegins):
                self._file, path = self._directory.new_file()
                self.paths.append(path)
                self._begun = event
            else:
                self._end_file(event.size)

    def end(self) -> None:
        """The body is over. Raises Refusal if it is cut off."""
        self._reader.end()

    def _end_file(self, size: int) -> None:
        assert self._file is not None
        self._file.close()
        self._file = None
        begun = self._begun
        file = UploadedFile(begun.mimetype, self.paths[-1], begun.remote, size)
        self.parts.append((begun.name, file))

    def discard(self) -> None:
        """Leave nothing behind."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError:
                pass  # what it still held could not be written either
        delete(self.paths)


def delete(paths: Iterable[str]) -> None:
    """Those files that are still there."""
    for path in paths:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass  # the app has moved it
        except OSError as error:
            log.error("%s, a file of an upload, cannot be deleted: %s", path, error)
