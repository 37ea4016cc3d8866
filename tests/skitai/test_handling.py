"""From a request to what its response is made of: handler, hooks, cookies, errors."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

import pytest
from small_worker import ask, request

from skitai.app import Application
from skitai.errors import HttpError
from skitai.handling import answer, answer_async
from skitai.request import Request
from skitai.serialize import HTML, JSON
from skitai.was import WAS


def of(app: Application, given: Request) -> tuple[int, str, Any]:
    """Status, type and body."""
    was, found = ask(app, given)
    kind, body = answer(was, found)
    response = given.answered_with
    return (200 if response is None else response.status), kind, body


def app_of(handler: Any) -> Application:
    app = Application("webapp")
    app.add_route("/", handler)
    return app


def test_plain_answer_leaves_the_response_alone() -> None:
    """Which is what the fast way out looks for."""
    given = request("/?a=1")

    assert of(app_of(lambda was, a: a), given) == (200, HTML, b"1")
    assert given.answered_with is None


def test_handler_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    """500, with the traceback in the log, and on the page in development mode only."""
    app = app_of(lambda was: 1 / 0)
    status, kind, page = of(app, request())
    assert (status, kind) == (500, HTML)
    assert b"ZeroDivisionError" not in page
    assert "raised ZeroDivisionError" in caplog.text

    app.set_devel()
    assert b"ZeroDivisionError" in of(app, request())[2]


def test_traceback_begins_in_the_app(caplog: pytest.LogCaptureFixture) -> None:
    """How it got there is of no use to its author; what it called there is."""

    def handler(was: WAS) -> None:
        was.response["X-Two"] = "two\nlines"

    app = app_of(handler)
    app.after_request(lambda was: None)
    of(app, request())

    files = re.findall(r'File ".*/(\w+\.py)"', caplog.text)
    assert files[:2] == ["test_handling.py", "response.py"]


def test_traceback_of_what_is_not_the_apps(caplog: pytest.LogCaptureFixture) -> None:
    """It is whole."""
    app = app_of(lambda was: was.session.set("all", "x" * 5000) or "page")
    app.use_session(True)
    of(app, request())

    assert re.findall(r'File ".*/(\w+\.py)"', caplog.text)[0] == "handling.py"


def test_what_was_said_before_the_exception_is_forgotten() -> None:
    """A page for an error is not cached for a year."""

    def handler(was: WAS) -> None:
        was.response.start(201, headers=[("Cache-Control", "max-age=31536000")])
        raise HttpError(404, "no such company", (("X-Why", "gone"), ("Content-Type", "a/b")))

    given = request()
    status, kind, page = of(app_of(handler), given)

    assert (status, kind) == (404, HTML)
    assert b"no such company" in page
    assert given.response.fields == (("X-Why", "gone"),)


def test_error_by_the_response() -> None:
    """The page is the server's, whatever is returned; what is said of the way stays."""

    def handler(was: WAS) -> str:
        was.response["Location"] = "/new"
        was.response["Content-Encoding"] = "gzip"
        was.response.error(307)
        return "ignored"

    given = request()
    status, _, page = of(app_of(handler), given)

    assert status == 307
    assert b"307 Temporary Redirect" in page
    assert given.response.fields == (("Location", "/new"),)


def test_hooks_and_handler_share_what_is_of_one_request() -> None:
    """The next request finds none of it."""

    def sign_in(was: WAS) -> None:
        assert not vars(was.g)
        was.g.user = "hans"

    app = app_of(lambda was: was.g.user)
    app.before_request(sign_in)

    assert of(app, request())[2] == b"hans"
    assert of(app, request())[2] == b"hans"


def test_before_that_answers_by_the_response() -> None:
    """The handler is not called: whoever has no right has seen and changed nothing."""
    called = []
    app = app_of(lambda was: called.append("handler"))
    app.before_request(lambda was: was.response.error(403, "no"))
    app.before_request(lambda was: called.append("the next one"))

    assert of(app, request())[0] == 403
    assert called == []


def test_errorhandler_of_what_the_response_was_told() -> None:
    """As of an HttpError that is raised. A redirect is no error."""
    app = app_of(lambda was, status="404": was.response.error(int(status), "gone") or "ignored")
    app.after_request(lambda was: was.response.update("X-After", "yes"))
    app.teardown_request(lambda was: "nothing was raised")
    app.errorhandler(HttpError)(lambda was, error: f"mine: {error.detail}")
    given = request()

    assert of(app, given) == (404, HTML, b"mine: gone")
    assert given.response.fields == (("X-After", "yes"),)
    assert b"302 Found" in of(app, request("/?status=302"))[2]


def test_errorhandler_that_has_no_answer() -> None:
    """It is the server's page then; one that gives up itself gets the page for that."""
    app = app_of(lambda was: was.response.error(404, "gone"))
    app.errorhandler(404)(lambda was, error: None)
    assert b"gone" in of(app, request())[2]

    app.errorhandler(404)(lambda was, error: was.response.error(410))
    assert of(app, request())[0] == 410


@pytest.mark.parametrize("status", [204, 302, 404])
def test_nothing_returned_after_a_status(status: int) -> None:
    """The status has said it all."""

    def handler(was: WAS) -> None:
        was.response.start(status)

    assert of(app_of(handler), request()) == (status, HTML, b"")


def test_nothing_returned_at_all(caplog: pytest.LogCaptureFixture) -> None:
    """Somebody has forgotten a return: the log names the handler."""

    def forgetful(was: WAS) -> None: ...

    assert of(app_of(forgetful), request())[0] == 500
    assert "forgetful returned NoneType; a handler returns str" in caplog.text


def test_arguments_are_checked_within_the_hooks() -> None:
    """Who may not come in learns nothing of what is missing."""
    app = app_of(lambda was, name: name)
    assert of(app, request())[0] == 400

    app.before_request(lambda was: "sign in")
    assert of(app, request())[2] == b"sign in"


def test_members_of_a_json_body_that_nobody_asked_for() -> None:
    """They are no mistake, as those of a query are: the handler may read the body itself."""
    app = app_of(lambda was, name="": {"name": name, "all": was.request.json})
    sent = b'{"name": "a", "more": 1}'
    given = request("/", "POST", sent, content_type="application/json")
    refused = request("/?else=1", "POST", sent, content_type="application/json")

    assert of(app, given)[2] == b'{"name":"a","all":{"name":"a","more":1}}'
    assert of(app, refused)[0] == 400


def test_errorhandler_answers_with_the_status() -> None:
    """It is the app's own page."""
    app = app_of(lambda was, name: name)
    app.errorhandler(400)(lambda was, error: f"bad: {error.detail}")

    assert of(app, request()) == (400, HTML, b"bad: /: the argument name is missing.")


def test_teardown_answers_with_200() -> None:
    """Unless it says otherwise."""
    app = app_of(lambda was: 1 / 0)
    app.teardown_request(lambda was: "sorry")

    assert of(app, request()) == (200, HTML, b"sorry")


def test_cookies_and_session_are_sent() -> None:
    """Also with what a hook answers; not with an error page."""

    def handler(was: WAS, fail: str = "") -> dict[str, Any]:
        was.cookie.set("user", "hans")
        was.session["in"] = True
        if fail:
            raise HttpError(403)
        return dict(was.session)

    app = app_of(handler)
    app.use_session()
    given = request()
    _, kind, body = of(app, given)

    names = [value.partition("=")[0] for name, value in given.response.fields]
    assert (kind, body) == (JSON, b'{"in":true}')
    assert sorted(names) == ["SESSION", "user"]

    refused = request("/?fail=1")
    assert of(app, refused)[0] == 403
    assert refused.response.fields == ()


def test_session_that_is_off(caplog: pytest.LogCaptureFixture) -> None:
    """The log says what to write."""
    assert of(app_of(lambda was: was.session.get("a")), request())[0] == 500
    assert "app.use_session (True)" in caplog.text


def test_session_that_is_too_large(caplog: pytest.LogCaptureFixture) -> None:
    """It fails the request that made it so."""

    def handler(was: WAS) -> str:
        was.session["cart"] = "x" * 5000
        return "kept"

    app = app_of(handler)
    app.use_session()

    assert of(app, request())[0] == 500
    assert "'cart'" in caplog.text


def test_async_handler_is_the_same() -> None:
    """With plain and async hooks, arguments and errors."""

    async def handler(was: WAS, a: str) -> str:
        await asyncio.sleep(0)
        was.cookie["seen"] = "1"
        return a

    app = app_of(handler)

    async def run(path: str) -> tuple[Request, Any]:
        given = request(path)
        was, found = ask(app, given)
        return given, await answer_async(was, found)

    given, (_, body) = asyncio.run(run("/?a=1"))
    assert (body, len(given.response.fields)) == (b"1", 1)
    assert asyncio.run(run("/"))[0].response.status == 400

    app.after_request(lambda was: "after")
    assert asyncio.run(run("/?a=1"))[1] == (HTML, b"after")


def test_cancelled_from_within(caplog: pytest.LogCaptureFixture) -> None:
    """Something that a handler awaited was cancelled: that is its failure, not the worker's end."""

    async def handler(was: WAS) -> None:
        task = asyncio.get_running_loop().create_future()
        task.cancel()
        await task

    async def run() -> Request:
        given = request()
        was, found = ask(app_of(handler), given)
        await answer_async(was, found)
        return given

    with caplog.at_level(logging.ERROR):
        assert asyncio.run(run()).response.status == 500
    assert "raised CancelledError" in caplog.text
