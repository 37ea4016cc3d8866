"""Members of clusters: what an operator says of them, and how they are. As pure as `decide`.

What was said is kept in the book, told to all workers that live, and given to all that are forked
later, of whatever generation. It holds until the server stops: a restart hands it on, and a reload
keeps it for members that its conf still has. So who takes a machine out of service need not think
of who reloads meanwhile.

How members are only the workers know: each has its own connections, latencies and ejections. They
are asked over their pipes, in order with what they are told, so an answer to a question that comes
after a change is of a worker that goes by it. Those that do not answer in time are counted, not
waited for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from skitaid.supervisor.actions import Action, Answer, Log, Tell
from skitaid.supervisor.book import Book
from skitaid.supervisor.child import State as ChildState
from skitaid.supervisor.control_records import (
    ChangeMembers,
    ClusterList,
    ClusterStatus,
    Done,
    MemberStatus,
    Refused,
    ShowCluster,
)
from skitaid.supervisor.events import WorkerMembers
from skitaid.supervisor.inquiry import Inquiry
from skitaid.workers import control
from skitaid.workers.member_report import MemberReport
from skitaid.workers.settings import DatabaseCluster, HttpCluster
from skitaid.workers.standing import Standing, State

ANSWER_TIME = 2.0  # seconds for a worker to say how its members are: its loop is busy, or hangs
_ASKABLE = (ChildState.READY, ChildState.RETIRING)  # who leaves has calls that are out


def clusters(book: Book) -> ClusterList:
    """Those of the conf that the server goes by."""
    return ClusterList(list(book.settings.worker.clusters))


# --- what is said ---


def change(book: Book, request: ChangeMembers, cause: str, ticket: int | None) -> list[Action]:
    """All of it, or nothing. ticket: of who waits for the answer; None: nobody does."""
    reason = _why_not(book, request)
    if reason:
        told = Log(logging.WARNING, f"{cause}: {reason}")
        return [told if ticket is None else Answer(ticket, Refused(reason))]
    said = [_standing(book, request, node) for node in dict.fromkeys(request.nodes)]
    for each in said:
        key = each.cluster, each.node
        book.standings.pop(key, None)
        if not each.is_as_in_conf:
            book.standings[key] = each
    record = control.SetMembers(said, is_forgiven=request.state is State.ENABLED)
    return [
        *(Log(logging.INFO, f"{cause}: {_described(each)}") for each in said),
        *(Tell(serial, record) for serial in book.children),
        *([] if ticket is None else [Answer(ticket, Done())]),
    ]


def prune(book: Book) -> None:
    """Forget what was said of members that the conf does not have any more."""
    known = book.settings.worker.clusters
    book.standings = {
        key: each
        for key, each in book.standings.items()
        if each.cluster in known and _may_have(known[each.cluster], each.node)
    }


def _why_not(book: Book, request: ChangeMembers) -> str:
    cluster = book.settings.worker.clusters.get(request.cluster)
    if cluster is None:
        return _no_cluster(book, request.cluster)
    for node in request.nodes:
        if not _may_have(cluster, node):
            known = ", ".join(each.node for each in cluster.members)
            return f"[@{cluster.name}] has no member {node}; its members are: {known}"
    return ""


def _no_cluster(book: Book, name: str) -> str:
    known = ", ".join(f"@{each}" for each in book.settings.worker.clusters) or "none"
    return f"the conf has no cluster [@{name}]; there are: {known}"


def _may_have(cluster: HttpCluster | DatabaseCluster, node: str) -> bool:
    """Which members a name stands for only the workers know."""
    if any(each.node == node for each in cluster.members):
        return True
    return isinstance(cluster, HttpCluster) and any(each.dns for each in cluster.members)


def _standing(book: Book, request: ChangeMembers, node: str) -> Standing:
    before = book.standings.get((request.cluster, node), Standing(request.cluster, node))
    return Standing(
        request.cluster,
        node,
        before.state if request.state is None else request.state,
        before.weight if request.weight is None else request.weight,
    )


def _described(standing: Standing) -> str:
    weight = f"weight {standing.weight}" if standing.weight else "the conf's weight"
    return f"[@{standing.cluster}]: {standing.node} is {standing.state.value}, with {weight}"


# --- how they are ---


def show(book: Book, ticket: int, request: ShowCluster, now: float) -> list[Action]:
    """Ask the workers; the answer is for `settle`."""
    if request.cluster not in book.settings.worker.clusters:
        return [Answer(ticket, Refused(_no_cluster(book, request.cluster)))]
    asked = {child.serial for child in book.children.values() if child.state in _ASKABLE}
    book.inquiries[ticket] = Inquiry(asked, now + ANSWER_TIME)
    record = control.TellMembers(ticket, request.cluster, request.start)
    return [Tell(serial, record) for serial in sorted(asked)]


def told(book: Book, event: WorkerMembers) -> list[Action]:
    """A worker has answered, maybe too late."""
    inquiry = book.inquiries.get(event.ticket)
    if inquiry is not None and event.serial in inquiry.asked:
        inquiry.total = max(inquiry.total, event.total)
        inquiry.reports[event.serial] = event.members
    return []


def settle(book: Book, now: float) -> list[Action]:
    """Answer what is complete, or has taken its time. Who has died is not waited for."""
    actions: list[Action] = []
    for ticket, inquiry in list(book.inquiries.items()):
        inquiry.asked &= book.children.keys() | inquiry.reports.keys()
        if not inquiry.missing or now >= inquiry.until:
            del book.inquiries[ticket]
            actions.append(Answer(ticket, _answer(inquiry)))
    return actions


def give_up(book: Book) -> list[Action]:
    """Answer with what is there: another program takes our place, which knows of no questions."""
    waiting, book.inquiries = book.inquiries, {}
    return [Answer(ticket, _answer(inquiry)) for ticket, inquiry in waiting.items()]


def _answer(inquiry: Inquiry) -> ClusterStatus:
    reports = [inquiry.reports[serial] for serial in sorted(inquiry.reports)]
    return ClusterStatus(inquiry.total, len(reports), len(inquiry.missing), summed(reports))


def summed(reports: Iterable[list[MemberReport]]) -> list[MemberStatus]:
    """What workers say of the members of one cluster, put together.

    In the order in which the first worker has them, then those that only others have.
    """
    by_node: dict[str, list[MemberReport]] = {}
    for each in reports:
        for report in each:
            by_node.setdefault(report.node, []).append(report)
    return [_sum(node, each) for node, each in by_node.items()]


def _sum(node: str, reports: list[MemberReport]) -> MemberStatus:
    latencies = [each.latency for each in reports if each.latency]
    ejected = [each.ejected_for for each in reports if each.ejected_for]
    newest = max(reports, key=lambda each: each.last_error_at)
    return MemberStatus(
        node=node,
        state=reports[-1].state,
        weight=reports[-1].weight,
        in_flight=sum(each.in_flight for each in reports),
        latency=sum(latencies) / len(latencies) if latencies else None,
        ejections=sum(each.ejections for each in reports),
        ejected=len(ejected),
        ejected_for=min(ejected, default=None),
        down=sum(each.is_down for each in reports),
        workers=len(reports),
        last_error=newest.last_error,
        last_error_at=newest.last_error_at or None,
        idle=sum(each.idle for each in reports),
        busy=sum(each.busy for each in reports),
        opening=sum(each.opening for each in reports),
        waiting=sum(each.waiting for each in reports),
        cap=sum(each.cap for each in reports),
    )
