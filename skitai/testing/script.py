"""What the servers that an app asks answer in a test: written down beforehand. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import field

from skitai import address
from skitai.engine import (
    Ask,
    Call,
    DatabaseMembers,
    DatabaseServer,
    Members,
    Origin,
    Reach,
    Reply,
    Sql,
)
from skitai.errors import SkitaiError, WrongUse
from skitai.results import Status

from . import database
from .database import Session
from .exchange import Member, Question, read, reply


class NotScripted(SkitaiError):
    """The app has asked for something that the test has no answer for; the message says what."""


class Asked(NamedTuple):
    """One call that a member has got; it equals a plain tuple.

    member: its place in the cluster, from 0; of the web the URL.
    method: of a remote procedure its name, of a page "GET" or "POST", of a database the statement.
    params: those by position as a tuple, those by name as a dict. Of a page the fields of query
        and form, by name.
    """

    member: int | str
    method: str
    params: tuple[Any, ...] | dict[str, Any]


class Cluster:
    """The members of a cluster, and what they were asked.

    members: each a `Member`, or what its `answer` may be; in the order of the conf.
    asked: all calls, in order. `was.map` asks every member; `was.lb` the first, and the next one
        if that is not connected.
    """

    def __init__(self, members: Iterable[Any]) -> None:
        self.members = [_member(each) for each in members]
        self.asked: list[Asked] = []
        if not self.members:
            raise WrongUse("a cluster has at least one member: Cluster([answer, ...])")


class Web:
    """The pages and remote procedures at URLs, and what they were asked.

    asked: all calls, in order; their member is the URL, whole.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._members: dict[tuple[Origin, bytes], Member] = {}
        self._urls: list[str] = []

    def add(self, pages: Mapping[str, Any]) -> None:
        """See `Client.web`."""
        for url, answer in pages.items():
            self._members[address.parse_url(url)] = _member(answer)
            self._urls.append(url)

    def member(self, origin: Origin, target: bytes, url: str) -> Member:
        """That of a URL, else that of the URL without its query. Raises NotScripted."""
        for each in (target, target.partition(b"?")[0]):
            if (origin, each) in self._members:
                return self._members[origin, each]
        known = ", ".join(self._urls) or "none"
        raise NotScripted(
            f"the app asks {url}, which the test has no answer for; write"
            f' client.web({{"{url}": answer}}). There are: {known}'
        )


class Script(msgspec.Struct):
    """All that one client's app may ask. clusters, databases: by name."""

    clusters: dict[str, Cluster] = field(default_factory=dict)
    databases: dict[str, Cluster] = field(default_factory=dict)
    web: Web = field(default_factory=Web)

    def replies(self, call: Call) -> tuple[tuple[str, ...], list[Reply]]:
        """The nodes that a call asks, and what comes of it. Raises NotScripted, WrongUse.

        What a member's function raises, and is not one of the failures, is raised here.
        """
        if isinstance(call.target, Session):
            return (call.target.node,), [call.target.reply(_sql(call))]
        if isinstance(call.target, DatabaseServer | DatabaseMembers):
            return self._of_database(call.target, _sql(call))
        assert isinstance(call.ask, Ask)
        question = read(call.ask)
        if isinstance(call.target, Origin):
            return (call.target.node,), [self._page(call.target, call.ask, question)]
        assert isinstance(call.target, Members)
        return self._of_cluster(call.target, question)

    def session(self, target: DatabaseServer | DatabaseMembers) -> Session:
        """A transaction. Raises NotScripted."""
        name, _ = self._database(target)

        def answer(ask: Sql) -> Reply:
            _, replies = self._of_database(target, ask)
            return replies[0]

        return Session(_node(name, 0), answer)

    def _of_database(
        self, target: DatabaseServer | DatabaseMembers, ask: Sql
    ) -> tuple[tuple[str, ...], list[Reply]]:
        name, cluster = self._database(target)
        reach = Reach.FIRST if isinstance(target, DatabaseServer) else target.reach
        answers: list[Reply] = []
        for place, member in enumerate(cluster.members):
            cluster.asked.append(Asked(place, ask.said, database.params(ask)))
            index = place if reach is Reach.ALL else 0
            answers.append(database.reply(member, index, _node(name, place), ask, ask.said))
            is_there = answers[-1].status is not Status.NOT_CONNECTED
            if reach is Reach.FIRST or (reach is Reach.ONE and is_there):
                break
        if reach is Reach.ONE:
            del answers[:-1]
        return tuple(each.node for each in answers), answers

    def _database(self, target: DatabaseServer | DatabaseMembers) -> tuple[str, Cluster]:
        """(what it is called, its members). Raises NotScripted."""
        name = target.node if isinstance(target, DatabaseServer) else target.cluster
        cluster = self.databases.get(name)
        if cluster is None:
            known = ", ".join(self.databases) or "none"
            raise NotScripted(
                f"the app asks the database {name}, which the test has no answer for; write"
                f' client.database("{name}", [answer, ...]). There are: {known}'
            )
        return name, cluster

    def _page(self, origin: Origin, ask: Ask, question: Question) -> Reply:
        target = ask.start.split(b" ")[1]
        url = _url(origin, target)
        member = self.web.member(origin, target, url)
        self.web.asked.append(Asked(url, question.method, question.params))
        return reply(member, 0, origin.node, question)

    def _of_cluster(
        self, target: Members, question: Question
    ) -> tuple[tuple[str, ...], list[Reply]]:
        name = target.cluster
        cluster = self.clusters.get(name)
        if cluster is None:
            known = ", ".join(self.clusters) or "none"
            raise NotScripted(
                f"the app asks the cluster {name}, which the test has no answer for; write"
                f' client.cluster("{name}", [answer, ...]). There are: {known}'
            )
        if target.reach is Reach.ONE:
            answer = self._of_one(cluster, name, question)
            return (answer.node,), [answer]
        answers = []
        for place, member in enumerate(cluster.members):
            cluster.asked.append(Asked(place, question.method, question.params))
            answers.append(reply(member, place, _node(name, place), question))
        return tuple(each.node for each in answers), answers

    def _of_one(self, cluster: Cluster, name: str, question: Question) -> Reply:
        """That of the first member that is connected, else that of the last one."""
        for place, member in enumerate(cluster.members):
            cluster.asked.append(Asked(place, question.method, question.params))
            answer = reply(member, 0, _node(name, place), question)
            if answer.status is not Status.NOT_CONNECTED:
                break
        return answer


def _sql(call: Call) -> Sql:
    assert isinstance(call.ask, Sql)
    return call.ask


def _node(name: str, place: int) -> str:
    return name if ":" in name else f"{name}{place}:5000"


def _member(answer: Any) -> Member:
    return answer if isinstance(answer, Member) else Member(answer)


def _url(origin: Origin, target: bytes) -> str:
    scheme, default = ("https", 443) if origin.tls else ("http", 80)
    node = origin.node.removesuffix(f":{default}") if origin.port == default else origin.node
    return f"{scheme}://{node}{target.decode('ascii')}"
