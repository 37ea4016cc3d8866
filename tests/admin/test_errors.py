"""The book of errors, as the rest of the server is told of it."""

from __future__ import annotations

import logging

import msgspec

from skitaid.workers.admin import report
from skitaid.workers.admin.document import Failure
from skitaid.workers.admin.errors import Errors


def test_text_that_no_encoding_has_can_be_told() -> None:
    """As of a name of a file, or of what a client has sent as JSON: it is spelled out."""
    errors = Errors(3)
    log = logging.Logger("app")
    log.addHandler(errors)
    try:
        raise ValueError("no such name: \ud800")
    except ValueError:
        log.exception("%s cannot be read", b"caf\xe9".decode("utf-8", "surrogateescape"))
    told = msgspec.msgpack.decode(report.encode(errors.book()), type=list[Failure])

    assert [each.message for each in told] == ["caf\\udce9 cannot be read"]
    assert told[0].traceback.endswith("ValueError: no such name: \\ud800")
