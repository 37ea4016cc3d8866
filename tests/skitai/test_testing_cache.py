"""Apps that keep results, tested without a server: it is as with one, but nobody waits."""

from __future__ import annotations

from typing import Any

import pytest

from skitai.app import Application
from skitai.testing import Client

URL = "http://example.com/"


@pytest.fixture
def app() -> Application:
    app = Application(__name__)

    @app.route("/after")
    def after(was: Any) -> Any:
        rs = was.wget(URL).getwait(2)
        rs.cache(60)
        return [rs.data, rs.is_cached]

    @app.route("/before")
    def before(was: Any) -> Any:
        rs = was.wget(URL, cache=60).getwait(2)
        return [rs.data, rs.is_cached]

    @app.route("/stale")
    def stale(was: Any) -> Any:
        rs = was.wget(URL, cache=0, stale=300).getwait(2)
        return [rs.data, rs.is_cached]

    @app.route("/figures")
    def figures(was: Any) -> Any:
        return was.rcache.status()

    return app


@pytest.mark.parametrize("path", ["/after", "/before"])
def test_the_second_is_given_what_the_first_has_kept(app: Application, path: str) -> None:
    """The page is asked for once."""
    with Client(app, web={URL: "a page"}) as client:
        assert client.get(path).json() == ["a page", False]
        assert client.get(path).json() == ["a page", True]
        assert len(client.web({}).asked) == 1
        assert client.get("/figures").json()["hits"] == 1


def test_a_stale_page_is_renewed_behind_the_answer(app: Application) -> None:
    """Whoever comes next has the new one."""
    pages = iter(["old", "new", "newer"])
    with Client(app, web={URL: lambda method: next(pages)}) as client:
        told = [client.get("/stale").json() for _ in range(3)]
        assert told == [["old", False], ["old", True], ["new", True]]


def test_a_failure_is_asked_for_again(app: Application) -> None:
    """It is not kept."""
    with Client(app, web={URL: ConnectionRefusedError()}) as client:
        assert [client.get("/before").json() for _ in range(2)] == [["", False]] * 2
        assert len(client.web({}).asked) == 2
