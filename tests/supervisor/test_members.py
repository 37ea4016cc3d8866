"""Members of clusters: an operator's word reaches every worker, and theirs are put together."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from imagined import ImaginedMaster, settings

from skitaid.supervisor import events as ev
from skitaid.supervisor.actions import Fork
from skitaid.supervisor.control_records import (
    ChangeMembers,
    ClusterList,
    ClusterStatus,
    Done,
    ListClusters,
    Refused,
    ShowCluster,
)
from skitaid.supervisor.members import ANSWER_TIME, summed
from skitaid.workers import control
from skitaid.workers.member_report import ERROR_MAX, PAGE, MemberReport
from skitaid.workers.settings import HttpCluster, Member
from skitaid.workers.standing import Standing, State

S1, S2 = Member("s1", 5000), Member("s2", 5000)
DRAIN = ChangeMembers("back", ["s1:5000"], State.DRAINED)
DRAINED = Standing("back", "s1:5000", State.DRAINED)


def cluster(*members: Member) -> tuple[HttpCluster, ...]:
    return (HttpCluster("back", members, tls=False, balance="p2c", where="web.conf:9"),)


def master(processes: int = 2, members: tuple[Member, ...] = (S1, S2)) -> ImaginedMaster:
    return ImaginedMaster(processes, clusters=cluster(*members))


def report(node: str = "s1:5000", **more: Any) -> MemberReport:
    usual: dict[str, Any] = {
        "state": State.ENABLED,
        "weight": 1,
        "in_flight": 1,
        "latency": 0.0,
        "ejections": 0,
        "ejected_for": 0.0,
        "is_down": False,
        "last_error": "",
        "last_error_at": 0.0,
        "idle": 2,
        "busy": 1,
        "opening": 0,
        "waiting": 0,
        "cap": 10,
    }
    return MemberReport(node, **{**usual, **more})


def given_to(imagined: ImaginedMaster) -> list[tuple[Standing, ...]]:
    """What each worker is forked with."""
    return [fork.standings for fork in imagined.did(Fork)]


# --- what is said ---


def test_a_change_is_refused_as_a_whole() -> None:
    """With what would have been right; nobody is told."""
    imagined = master()
    imagined.serve()
    assert imagined.ask(ChangeMembers("front", ["s1:5000"], State.DRAINED)) == Refused(
        "the conf has no cluster [@front]; there are: @back"
    )
    assert imagined.ask(ChangeMembers("back", ["s1:5000", "s9:5000"], State.DRAINED)) == Refused(
        "[@back] has no member s9:5000; its members are: s1:5000, s2:5000"
    )
    assert not imagined.told()
    assert not imagined.book.standings


def test_a_change_is_told_to_all_workers() -> None:
    """Those that boot and those that drain too."""
    imagined = master()
    serving = imagined.serve()
    imagined.die(serving[0])
    booting = imagined.forked()
    assert imagined.ask(DRAIN) == Done()
    record = control.SetMembers([DRAINED])
    assert imagined.told() == dict.fromkeys([serving[1], *booting], record)
    assert "[@back]: s1:5000 is drained, with the conf's weight" in imagined.logged()


def test_later_workers_are_forked_with_what_was_said() -> None:
    """One that takes the place of another, and those of a new generation."""
    imagined = master(1)
    (first,) = imagined.serve()
    imagined.ask(DRAIN)
    imagined.die(first)
    assert given_to(imagined) == [(DRAINED,)]
    (second,) = imagined.forked()
    imagined.ready(second)
    imagined.reload()
    assert given_to(imagined) == [(DRAINED,)]


def test_state_and_weight_are_said_one_by_one() -> None:
    """What is not named stays; what is as in the conf is not kept."""
    imagined = master()
    imagined.serve()
    imagined.ask(DRAIN)
    imagined.ask(ChangeMembers("back", ["s1:5000"], weight=7))
    (standing,) = imagined.book.standings.values()
    assert standing == Standing("back", "s1:5000", State.DRAINED, 7)
    imagined.ask(ChangeMembers("back", ["s1:5000"], State.ENABLED))
    told = next(iter(imagined.told().values()))
    assert told == control.SetMembers([Standing("back", "s1:5000", weight=7)], is_forgiven=True)
    imagined.ask(ChangeMembers("back", ["s1:5000"], weight=0))
    assert not imagined.book.standings


def test_a_reload_keeps_what_was_said_of_members_that_stay() -> None:
    """And forgets the others, when it is complete."""
    imagined = master(1)
    (old,) = imagined.serve()
    imagined.ask(ChangeMembers("back", ["s1:5000", "s2:5000"], State.DISABLED))
    imagined.conf = settings(1, clusters=cluster(S2))
    imagined.reload()
    (new,) = imagined.forked()
    imagined.ready(new)
    assert len(imagined.book.standings) == 2
    imagined.die(old, exit_code=0)
    assert list(imagined.book.standings) == [("back", "s2:5000")]


def test_a_reload_that_fails_changes_nothing_of_it() -> None:
    """The old conf's members go on, and so does what was said of them."""
    imagined = master(1)
    imagined.serve()
    imagined.ask(DRAIN)
    imagined.conf = settings(1, clusters=cluster(S2))
    imagined.reload()
    (new,) = imagined.forked()
    imagined.tell(ev.WorkerBootFailed(new, "ImportError: no webapp today"))
    assert list(imagined.book.standings) == [("back", "s1:5000")]


def test_of_a_name_any_address_may_be_a_member() -> None:
    """Which ones it stands for only the workers know."""
    imagined = master(members=(Member("search", 5000, dns=True),))
    imagined.serve()
    assert imagined.ask(ChangeMembers("back", ["10.0.0.7:5000"], State.DRAINED)) == Done()


# --- how they are ---


def test_the_clusters_of_the_conf_are_listed() -> None:
    imagined = master()
    assert imagined.ask(ListClusters()) == ClusterList(["back"])


def show(imagined: ImaginedMaster, ticket: int = 7) -> None:
    imagined.tell(ev.Asked(ticket, ShowCluster("back")))


def test_all_workers_are_asked_and_the_answer_waits_for_them() -> None:
    """Those that drain have calls out as well."""
    imagined = master()
    first, second = imagined.serve()
    show(imagined)
    assert imagined.told() == dict.fromkeys([first, second], control.TellMembers(7, "back", 0))
    imagined.tell(ev.WorkerMembers(first, 7, 2, [report()]))
    assert not imagined.replies
    imagined.tell(ev.WorkerMembers(second, 7, 2, [report(in_flight=4)]))
    reply = imagined.replies[7]
    assert isinstance(reply, ClusterStatus)
    assert (reply.total, reply.workers, reply.silent) == (2, 2, 0)
    assert [member.in_flight for member in reply.members] == [5]


def test_a_worker_that_gives_no_answer_is_counted() -> None:
    """After two seconds; what it says later is dropped."""
    imagined = master()
    first, second = imagined.serve()
    show(imagined)
    imagined.tell(ev.WorkerMembers(first, 7, 2, [report()]))
    imagined.wait(ANSWER_TIME)
    reply = imagined.replies[7]
    assert isinstance(reply, ClusterStatus)
    assert (reply.workers, reply.silent) == (1, 1)
    imagined.tell(ev.WorkerMembers(second, 7, 2, [report()]))
    assert not imagined.done


def test_a_worker_that_dies_is_not_waited_for() -> None:
    imagined = master()
    first, second = imagined.serve()
    show(imagined)
    imagined.tell(ev.WorkerMembers(first, 7, 2, [report()]))
    imagined.die(second)
    reply = imagined.replies[7]
    assert isinstance(reply, ClusterStatus)
    assert (reply.workers, reply.silent) == (1, 0)


def test_without_workers_there_is_an_answer_at_once() -> None:
    """While the server starts."""
    imagined = master()
    imagined.start()
    show(imagined)
    assert imagined.replies[7] == ClusterStatus(0, 0, 0, [])


def test_an_unknown_cluster_is_refused() -> None:
    imagined = master()
    imagined.serve()
    assert isinstance(imagined.ask(ShowCluster("front")), Refused)


def test_a_restart_leaves_no_question_open() -> None:
    """The next program does not know of them."""
    imagined = master()
    imagined.serve()
    show(imagined)
    imagined.tell(ev.RestartWanted("SIGUSR2"))
    assert 7 not in imagined.replies
    imagined.end_trial()
    reply = imagined.replies[7]
    assert isinstance(reply, ClusterStatus)
    assert reply.silent == 2


def test_what_workers_say_is_put_together() -> None:
    """Counts are added, latencies averaged over those that know one, the newest error is told."""
    one = report(latency=0.2, ejections=1, ejected_for=3.0, last_error="old", last_error_at=1.0)
    two = report(latency=0.4, is_down=True, last_error="new", last_error_at=2.0, idle=5)
    (member,) = summed([[one], [two], [report()]])
    assert (member.in_flight, member.idle, member.busy, member.cap) == (3, 9, 3, 30)
    assert member.latency is not None
    assert abs(member.latency - 0.3) < 1e-9
    assert (member.ejections, member.ejected, member.ejected_for, member.down) == (1, 1, 3.0, 1)
    assert (member.last_error, member.last_error_at, member.workers) == ("new", 2.0, 3)


nodes = st.lists(st.sampled_from("abcdef"), unique=True)


@given(st.lists(nodes, max_size=4))
def test_no_member_is_lost_or_counted_twice(workers: list[list[str]]) -> None:
    """Workers may differ for a while in whom a name stands for."""
    members = summed([[report(node, in_flight=1) for node in each] for each in workers])
    told = {member.node: (member.in_flight, member.workers) for member in members}
    every = [node for each in workers for node in each]
    assert told == {node: (every.count(node), every.count(node)) for node in every}
    assert len(members) == len(told)


def test_the_longest_page_fits_into_a_packet() -> None:
    """Names of 253 characters, and errors in letters of three bytes."""
    member = report("h" * 253 + ":65535", last_error="€" * ERROR_MAX)
    packet = msgspec.msgpack.encode(control.Members(7, PAGE, [member] * PAGE))
    assert len(packet) < control.PACKET_MAX
