"""What a handler says about its response: no field, phrase or status can break the header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skitai.errors import HttpError
from skitai.response import Response

BREAKING = ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b", "a\x1fb", "a\x7fb", "\r\n", "\x08"]
NO_TOKENS = ["", "a b", "a:", "a\r\n", "\xe9", "a(b)", "a/b", "a\0"]


@pytest.mark.parametrize("value", BREAKING)
def test_value_that_would_break_the_header(value: str) -> None:
    """It is refused wherever it may be given."""
    response = Response()
    with pytest.raises(ValueError, match="control character"):
        response.set("X", value)
    with pytest.raises(ValueError, match="control character"):
        response["X"] = value
    with pytest.raises(ValueError, match="control character"):
        response.update("X", value)
    with pytest.raises(ValueError, match="control character"):
        response.start(200, "", [("X", value)])
    with pytest.raises(ValueError, match="control character"):
        response.start(200, value)
    with pytest.raises(ValueError, match="control character"):
        response.reason = value
    with pytest.raises(ValueError, match="control character"):
        HttpError(404, "", (("X", value),))

    assert response.fields == ()
    assert (response.status, response.reason) == (200, "")


@pytest.mark.parametrize("name", NO_TOKENS)
def test_name_that_would_break_the_header(name: str) -> None:
    """A name is a token."""
    with pytest.raises(ValueError, match="is not a token"):
        Response().set(name, "a")
    with pytest.raises(ValueError, match="is not a token"):
        HttpError(404, "", ((name, "a"),))


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "CONNECTION"])
def test_field_that_tells_where_the_response_ends(name: str) -> None:
    """A second one, or a wrong one, would let a client take a part for the whole."""
    with pytest.raises(ValueError, match="the server's own"):
        Response().set(name, "5")
    with pytest.raises(ValueError, match="the server's own"):
        HttpError(404, "", ((name, "5"),))


@pytest.mark.parametrize("status", [0, 100, 199, 600, 1000, -1])
def test_status_that_is_none(status: int) -> None:
    """Interim ones are not a handler's to send."""
    response = Response()
    with pytest.raises(ValueError, match=f"{status} is not between 200 and 599"):
        response.start(status)
    with pytest.raises(ValueError, match=f"{status} is not between 200 and 599"):
        response.status = status

    assert response.status == 200


@pytest.mark.parametrize("status", [100, 200, 299, 600])
def test_status_that_is_no_error(status: int) -> None:
    """An HttpError ends the request with an error, or a redirect."""
    with pytest.raises(ValueError, match="is not between 300 and 599"):
        HttpError(status)


def test_http_error_says_what_it_is() -> None:
    """For who catches it."""
    error = HttpError(503, "later", (("Retry-After", "1"),))

    assert (error.status, error.detail, error.headers) == (503, "later", (("Retry-After", "1"),))


@given(st.text(), st.text())
def test_what_is_taken_cannot_break_the_header(name: str, value: str) -> None:
    """Whatever is given: either it is refused, or it is one line."""
    response = Response()
    try:
        response.set(name, value)
    except ValueError:
        assert response.fields == ()
    else:
        line = f"{name}: {value}".encode("latin-1", "replace")
        assert len(line.splitlines()) == 1
        assert line.partition(b": ")[0].decode() == name


def test_fields() -> None:
    """Several of a name may stand beside each other; one may replace them; case is no matter."""
    response = Response()
    response.set("Set-Cookie", "a")
    response.set("set-cookie", "b")
    response["x"] = "0"
    response["X"] = "1"
    assert response.fields == (("Set-Cookie", "a"), ("set-cookie", "b"), ("X", "1"))
    assert response.get("SET-COOKIE") == response["Set-Cookie"] == "a"

    response.update("Set-cookie", "c")
    assert response.fields == (("X", "1"), ("Set-cookie", "c"))
    del response["x"]
    response.delete("none")
    assert response.fields == (("Set-cookie", "c"),)
    assert "SET-COOKIE" in response
    assert not response.has_key("x")
    assert response.get("x", "default") == "default"
    assert response["x"] is None


def test_start() -> None:
    """Status, phrase and fields in one."""
    response = Response()
    response.start(404, "Nothing here", [("X", "1"), ("X", "2")])

    assert (response.status, response.reason) == (404, "Nothing here")
    assert response.fields == (("X", "1"), ("X", "2"))
