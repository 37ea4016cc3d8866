"""A request under its CGI names."""

from __future__ import annotations

import pytest
from small_worker import SERVER, request

from skitai.environ import environ


def test_names_of_cgi() -> None:
    """RFC 3875, with the two names that the first servers of this kind had besides."""
    given = request("/test/a?b=1", host="example.com:80", user_agent="curl", content_length="0")
    env = environ(given, SERVER, "/test")

    assert env == {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "/test",
        "PATH_INFO": "/a",
        "REQUEST_URI": "/test/a?b=1",
        "QUERY_STRING": "b=1",
        "SERVER_NAME": "example.com",
        "SERVER_PORT": "5000",
        "SERVER_SOFTWARE": "web",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "GATEWAY_INTERFACE": "SSGI/1.0",
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_SERVER": "192.0.2.7",
        "CONTENT_LENGTH": "0",
        "HTTP_HOST": "example.com:80",
        "HTTP_USER_AGENT": "curl",
    }
    assert (env.HTTP_USER_AGENT, env.has_key("QUERY_STRING")) == ("curl", True)
    assert env.as_dict() == dict(env)


def test_what_must_not_get_in() -> None:
    """Neither the process's environment, nor a header that passes for a setting or another one."""
    given = request("/", proxy="http://evil", x_real="1")
    given.fields.append((b"X_Real", b"2"))
    env = environ(given, SERVER, "")

    assert env["HTTP_X_REAL"] == "1"
    assert "HTTP_PROXY" not in env
    assert "PATH" not in env
    assert "QUERY_STRING" not in env
    with pytest.raises(AttributeError, match="env has no PATH"):
        _ = env.PATH


@pytest.mark.parametrize(
    ("host", "name"), [("[::1]:80", "::1"), ("a", "a"), ("", "127.0.0.1"), ("a:1", "a")]
)
def test_server_name(host: str, name: str) -> None:
    """As the client has called it."""
    assert environ(request("/", host=host), SERVER, "")["SERVER_NAME"] == name
