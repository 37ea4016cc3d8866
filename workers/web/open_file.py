"""A file opened for one answer: the file itself, its neighbour in a content coding, or neither yet.

`site.css.br`, `.zst` and `.gz` beside `site.css` are sent to clients that take them, unless they
are older. What has no such neighbour is compressed on the fly, if it is text and not large. All
are one resource with one type, that of the name without the suffix.
"""

from __future__ import annotations

import io
import logging
import os
import stat
import time

import msgspec

from skitai import media_types

from . import encodings, static
from .compression import CODERS, MIN_SIZE, is_compressible
from .file_cache import Offers, Page, is_settled
from .representation import Representation, describe
from .static import Stamp

COMPRESSED_MAX = 1024 * 1024  # bytes: larger files are compressed beforehand or not at all

SUFFIXES = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}

log = logging.getLogger(__name__)


class OpenFile(msgspec.Struct, frozen=True):
    """What is needed to send a file, and to keep it."""

    path: str  # of the file, without the suffix of a neighbour
    stamp: Stamp  # of that file
    offers: Offers
    coding: str  # of what is sent, "" for the plain form
    is_settled: bool
    file: io.FileIO  # what is open: the file, or its neighbour
    size: int  # of that
    representation: Representation
    plain: Representation  # what is sent if nothing is gained by the coding
    is_made: bool  # False: it must be brought into its coding when it is read

    def read(self) -> Page:
        """All of it, encoded. Raises OSError, or EOFError when it has become shorter."""
        body = self.file.read(self.size)
        if len(body) < self.size:
            raise EOFError(f"it is {self.size - len(body)} bytes shorter than when it was opened")
        if self.is_made:
            return Page.of(self.representation, body)
        smaller = CODERS[self.coding](body)
        if len(smaller) < len(body):
            return Page.of(self.representation, smaller)
        return Page.of(self.plain, body)


def open_file(directory: str, path: str, codings: tuple[str, ...], max_age: int) -> OpenFile:
    """The form of a file that a client likes best; codings: see `encodings.preferred`.

    Raises OSError; FileNotFoundError if it may not be served.
    """
    now = time.time()
    file, status = static.open_below(directory, path)
    opened = status
    content_type = media_types.of(path)
    offers = offers_of(path, status)
    while offers.get(coding := encodings.choose(codings, offers)) is not None:
        try:
            neighbour, opened = static.open_below(directory, path + SUFFIXES[coding])
        except OSError as error:
            log.warning("%s%s cannot be sent instead: %s", path, SUFFIXES[coding], error)
            del offers[coding]
        else:
            file.close()
            file = neighbour
            break
    varies = bool(offers)
    plain = describe(opened, content_type, "", varies=varies, max_age=max_age, now=now)
    encoded = describe(opened, content_type, coding, varies=varies, max_age=max_age, now=now)
    return OpenFile(
        path,
        static.stamp(status),
        offers,
        coding,
        is_settled(status, now) and is_settled(opened, now),
        file,
        opened.st_size,
        encoded,
        plain,
        is_made=not coding or offers[coding] is not None,
    )


def offers_of(path: str, status: os.stat_result) -> Offers:
    """The codings there are of a file, or can be made. status: the file's."""
    if not is_compressible(media_types.of(path)):
        return {}
    can_make = MIN_SIZE <= status.st_size <= COMPRESSED_MAX
    offers: Offers = {}
    for coding, suffix in SUFFIXES.items():
        neighbour = static.status_of(path + suffix)
        if neighbour is not None and _may_stand_for(neighbour, status):
            offers[coding] = static.stamp(neighbour)
        elif can_make and coding in CODERS:
            offers[coding] = None
    return offers


def _may_stand_for(neighbour: os.stat_result, status: os.stat_result) -> bool:
    # In whole seconds: some tools give their result the time of its source, without fractions.
    return stat.S_ISREG(neighbour.st_mode) and int(neighbour.st_mtime) >= int(status.st_mtime)
