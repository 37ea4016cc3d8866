"""Readiness as a line."""

from __future__ import annotations

import os

import pytest

from skitaid.supervisor.notify import Notify


def test_one_line_and_the_end() -> None:
    """Who waits gets both."""
    reader, writer = os.pipe()
    Notify(writer).ready("ready http://127.0.0.1:5000")
    with open(reader) as pipe:
        assert pipe.read() == "ready http://127.0.0.1:5000\n"


def test_nobody_waits() -> None:
    """Then there is nobody to tell."""
    Notify(None).ready("ready")


def test_who_waited_has_gone(caplog: pytest.LogCaptureFixture) -> None:
    """The server runs all the same."""
    reader, writer = os.pipe()
    os.close(reader)
    with caplog.at_level("INFO"):
        Notify(writer).ready("ready")
    assert "nobody waits for the start any more" in caplog.text


def test_a_number_that_is_no_descriptor() -> None:
    """Found out at once, not when the server is ready."""
    with pytest.raises(OSError, match="Bad file descriptor"):
        Notify(987654)
