"""The book of the fleet as a service manager hears it. Pure.

READY is said when each server is up or has failed once: then the first tries are over, and the
others are served whatever becomes of the one that failed.
"""

from __future__ import annotations

from skitaid.fleet.book import Book, Stage
from skitaid.fleet.events import Event, ReadWanted
from skitaid.fleet.server import Server, State
from skitaid.supervisor.service_manager import STOPPING, ready, reloading


def service_state(book: Book, event: Event, now: float) -> str:
    """After the event was decided on; "" while servers start for the first time."""
    match book.stage:
        case Stage.STARTING:
            return ""
        case Stage.STOPPING:
            return STOPPING
        case Stage.RUNNING if isinstance(event, ReadWanted):
            return reloading(now)  # what was read is the next event
        case Stage.RUNNING:
            return ready(_status(book))


def _status(book: Book) -> str:
    """How many serve, and what is the matter with the others and with confs."""
    servers = sorted(book.servers.values(), key=lambda server: server.name)
    serve = sum(server.state is State.RUNNING for server in servers)
    troubles = [trouble for server in servers if (trouble := _trouble(server))]
    return "; ".join([f"{serve} of {len(servers)} servers serve", *troubles])


def _trouble(server: Server) -> str:
    if server.state is State.WAITING and server.failure:
        return f"{server.name} is tried again: {server.failure.why}"
    if server.state is not State.RUNNING:
        return f"{server.name} is {server.state.value}"
    return f"the conf of {server.name} has mistakes" if server.complaints else ""
