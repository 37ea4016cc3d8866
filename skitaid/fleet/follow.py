"""What the fleet does about confs that appear, change and go: pure, a part of `decide`.

Three rules. What an operator has stopped is not started by a change of its conf; only a conf that
goes and comes back, or a start, does that. A conf with mistakes is told about and changes
nothing. A conf that is as it was changes nothing either, however often it was written.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterable

from skitaid.fleet import moves
from skitaid.fleet.actions import Action
from skitaid.fleet.book import Book
from skitaid.fleet.events import ConfSeen
from skitaid.fleet.server import Server, State
from skitaid.supervisor.actions import Log


def follow(book: Book, confs: Iterable[ConfSeen], now: float) -> list[Action]:
    """Make the servers what the confs that are enabled now say."""
    seen = {conf.name: conf for conf in confs}
    gone = [server for name, server in book.servers.items() if name not in seen]
    actions = [action for server in gone for action in _gone(server, now)]
    for name in sorted(seen):
        known = name in book.servers
        server = book.server(name, now)
        actions += _here(server, seen[name], now) if known else _new(server, seen[name], now)
    return actions


def _gone(server: Server, now: float) -> list[Action]:
    if server.is_removed:
        return []
    server.is_removed = True
    stops = "; it is stopped when all is answered" if server.has_master else ""
    log = Log(logging.INFO, f"{server.name}: its conf is gone{stops}")
    return [log, *moves.stop([server], graceful=True, now=now)]


def _new(server: Server, conf: ConfSeen, now: float) -> list[Action]:
    server.digest = conf.digest
    if conf.complaints:
        return _complain(server, conf)
    moves.start([server], now)
    return [Log(logging.INFO, f"{server.name} is enabled")]


def _here(server: Server, conf: ConfSeen, now: float) -> list[Action]:
    if server.is_removed:  # it went and came back while its master was still stopping
        return _new(server, conf, now)
    if conf.complaints:
        return _complain(server, conf)
    server.complaints = ""
    if conf.digest == server.digest:
        return []
    server.digest = conf.digest
    return _changed(server, now)


def _complain(server: Server, conf: ConfSeen) -> list[Action]:
    if server.complaints == conf.complaints:
        return []
    server.complaints = conf.complaints
    stays = "it goes on as it is" if server.has_master else "it is not started"
    text = f"{server.name}: {stays}, as its conf has mistakes\n{conf.complaints}"
    return [Log(logging.ERROR, text)]


def _changed(server: Server, now: float) -> list[Action]:
    if server.state in (State.STARTING, State.RUNNING):
        log = Log(logging.INFO, f"{server.name}: its conf has changed; it is reloaded")
        return [log, *moves.tell(server, signal.SIGHUP)]
    if server.is_held or server.state not in (State.STOPPED, State.WAITING):
        return []  # it reads the new one when it is started
    moves.start([server], now)
    return [Log(logging.INFO, f"{server.name}: its conf has changed; it is started")]
