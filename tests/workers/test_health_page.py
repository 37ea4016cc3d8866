"""What a load balancer is told by a worker that leaves."""

from __future__ import annotations

import json
from typing import Any, cast

from fake_client import FakeClient

from skitaid.workers.admin.pages import AdminPages
from skitaid.workers.settings import Admin, Settings
from skitaid.workers.tally import Tally
from skitaid.workers.web.dispatch import Dispatcher
from skitaid.workers.web.mounts import Mounts

HEALTH = b"GET /skitai/health HTTP/1.1\r\nHost: a\r\n\r\n"


def client_of() -> FakeClient:
    client = FakeClient()
    nobody, loop = cast(Any, None), cast(Any, client.loop)
    tally: Tally = client.connections.tally
    pages = AdminPages(
        loop, Admin(), nobody, nobody, nobody, nobody, tally.route("admin", "", "", "")
    )
    dispatcher = Dispatcher(loop, Settings("test", ()), Mounts((), {}), nobody, nobody, nobody)
    dispatcher.own = pages.pages()
    client.connection._site = dispatcher
    return client


def test_a_worker_that_leaves_is_not_ready() -> None:
    """It lives, and answers on a connection that was open; the next request shall go elsewhere."""
    client = client_of()
    client.send(HEALTH)
    client.drain()
    client.send(HEALTH)

    before, after = client.answers
    assert (before.status, after.status) == (200, 503)
    assert json.loads(before.body) == {"status": "ok", "live": True, "ready": True}
    assert json.loads(after.body) == {"status": "draining", "live": True, "ready": False}
    assert client.is_closed


def test_without_a_password_there_is_nothing_else() -> None:
    """What is not there cannot be guessed at."""
    client = client_of()
    client.send(b"GET /skitai/status.json HTTP/1.1\r\nHost: a\r\n\r\n")

    assert client.statuses == [404]
