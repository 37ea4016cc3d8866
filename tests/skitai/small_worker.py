"""`was` as a handler has it, without a worker: for tests of what apps are given."""

from __future__ import annotations

from typing import Any

from imagined_engine import ImaginedEngine

from skitai.app import Application
from skitai.caller import Caller
from skitai.request import Request
from skitai.seal import Seal
from skitai.session import Sessions
from skitai.table import Found, Table
from skitai.was import WAS
from skitai.wasc import Server, Wasc

SERVER = Server("web", "127.0.0.1", 5000, False, "1.0")


def wasc() -> Wasc:
    """Of a worker that asks nobody."""
    return Wasc(ImaginedEngine(), SERVER, Sessions(Seal(["a secure key"]), 1200))


def request(path: str = "/", method: str = "GET", body: bytes = b"", **fields: str) -> Request:
    """fields: names with underscores for hyphens."""
    target = path.partition("?")[0]
    sent = [
        (name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in fields.items()
    ]
    made = Request(method, path.encode(), sent, body, "1.1", Caller("192.0.2.7"))
    made.path = target
    return made


def ask(app: Application, given: Request, shared: Wasc | None = None) -> tuple[WAS, Found]:
    """`was` and the handler for a request to an app at the root."""
    table = Table(app)
    match = table.match(given.path, given.method)
    assert isinstance(match, tuple), f"no rule for {given.path}"
    entry, params = match
    found = Found(app, entry.route, params, entry.levels, "", table)
    return WAS(shared or wasc(), found, given), found


def started(app: Application, **registered: Any) -> Wasc:
    """A worker in which the app has started."""
    shared = wasc()
    for name, each in registered.items():
        shared.register(name, each)
    app.start(shared)
    return shared
