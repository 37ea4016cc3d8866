"""An operator who looks at a server: with the right password, unless a test gives another."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from served import Reply, Server

PASSWORD = "open sesame"
CONF = f"admin_password = {PASSWORD}"


def basic(user: str = "admin", password: str = PASSWORD) -> dict[str, str]:
    """The header of a browser that was told."""
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


def look(server: Server, path: str) -> Reply:
    """An admin page."""
    return server.get(f"/skitai/{path}", basic())


def status(server: Server) -> Any:
    """The status document."""
    reply = look(server, "status.json")
    assert reply.status == 200, reply.text
    return reply.json()


def route(document: Any, rule: str) -> Any:
    """What the document says of a rule."""
    (found,) = [each for each in document["routes"] if each["rule"] == rule]
    return found
