"""What all requests of a worker share."""

from __future__ import annotations

from typing import Any

import pytest
from small_worker import ask, request, wasc

from skitai.app import Application
from skitai.errors import NameTaken


class Searcher:
    """An object of an app's that lives as long as the worker."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def status(self) -> dict[str, int]:
        return {"documents": 3}

    def cleanup(self) -> None:
        self.calls.append("cleanup")


def test_registered_object_is_there_for_every_request() -> None:
    """As an attribute of was and of wasc, until it is unregistered."""
    shared, searcher = wasc(), Searcher()
    app = Application("webapp")
    app.add_route("/", lambda was: was.searcher)
    was, _ = ask(app, request(), shared)

    shared.register("searcher", searcher)
    assert was.searcher is shared.searcher is searcher

    shared.unregister("searcher")
    with pytest.raises(AttributeError, match="was has no searcher"):
        _ = was.searcher
    with pytest.raises(KeyError):
        shared.unregister("searcher")


@pytest.mark.parametrize("name", ["request", "wget", "engine", "register", "searcher"])
def test_name_that_is_taken(name: str) -> None:
    """By was itself, by wasc, or by another app; nothing is overwritten."""
    shared, searcher = wasc(), Searcher()
    shared.register("searcher", searcher)
    with pytest.raises(NameTaken, match=f"was.{name} is there already"):
        shared.register(name, None)

    assert shared.searcher is searcher
    assert issubclass(NameTaken, KeyError)


@pytest.mark.parametrize("name", ["", "two words", "_private", "1st"])
def test_name_that_is_none(name: str) -> None:
    """It could not be written behind the dot."""
    with pytest.raises(ValueError, match="cannot be written as"):
        wasc().register(name, None)


def test_status_and_cleanup_of_registered_objects(caplog: pytest.LogCaptureFixture) -> None:
    """Those that have them; one that fails does not keep the others from it."""

    class Broken:
        def cleanup(self) -> None:
            raise OSError("no")

    shared, searcher = wasc(), Searcher()
    registered: dict[str, Any] = {"broken": Broken(), "searcher": searcher, "plain": 5}
    for name, each in registered.items():
        shared.register(name, each)

    assert shared.status()["httpserver"]["port"] == 5000
    assert shared.status().keys() == {"httpserver", "searcher"}
    assert shared.status()["searcher"] == {"documents": 3}
    shared.cleanup()
    assert searcher.calls == ["cleanup"]
    assert "the cleanup of was.broken failed" in caplog.text
