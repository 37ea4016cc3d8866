"""A server's address as people read it."""

from __future__ import annotations

from skitaid.supervisor.settings import Settings
from skitaid.supervisor.unix_listener import PREFIX


def address(settings: Settings) -> str:
    """The URL of a server, with * for all interfaces; unix:PATH for a file."""
    if settings.ip.startswith(PREFIX):
        return settings.ip
    scheme = "https" if settings.worker.tls else "http"
    host = f"[{settings.ip}]" if ":" in settings.ip else settings.ip or "*"
    return f"{scheme}://{host}:{settings.port}"
