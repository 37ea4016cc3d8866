"""What is left of a dispatcher when something in it is broken."""

from __future__ import annotations

from typing import Any, cast

import pytest
from fake_client import FakeClient

from skitaid.workers.settings import Settings
from skitaid.workers.web.dispatch import Dispatcher
from skitaid.workers.web.mounts import Mounts

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"


class BrokenMounts(Mounts):
    """Routes that fail when they are asked."""

    def find(self, path: str, method: str) -> Any:
        raise ZeroDivisionError("a defect")


def client_of(mounts: Mounts) -> FakeClient:
    client = FakeClient()
    nobody = cast(Any, None)
    loop = cast(Any, client.loop)
    settings = Settings("test", ())
    client.connection._site = Dispatcher(loop, settings, mounts, nobody, nobody, nobody)
    return client


def test_defect_costs_one_request(caplog: pytest.LogCaptureFixture) -> None:
    """It is answered 500 and logged, and the connection goes on."""
    client = client_of(BrokenMounts((), {}))
    client.send(GET + GET)

    assert [answer.status for answer in client.answers] == [500, 500]
    assert not client.is_closed
    assert caplog.text.count("GET /a: failed before a handler") == 2
    assert "a defect" in caplog.text


def test_server_without_routes() -> None:
    """There is nothing anywhere."""
    client = client_of(Mounts((), {}))
    client.send(GET)

    assert client.statuses == [404]
