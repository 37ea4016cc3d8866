"""A server's address as people read it."""

from __future__ import annotations

from skitaid.supervisor.settings import Settings


def address(settings: Settings) -> str:
    """The URL of a server, with * for all interfaces."""
    scheme = "https" if settings.worker.tls else "http"
    host = f"[{settings.ip}]" if ":" in settings.ip else settings.ip or "*"
    return f"{scheme}://{host}:{settings.port}"
