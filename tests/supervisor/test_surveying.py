"""A question to all workers: who is asked, who is waited for, and for how long."""

from __future__ import annotations

import msgspec
from imagined import ImaginedMaster

from skitaid.supervisor import events as ev
from skitaid.supervisor.actions import Drop, Dump, HandOver
from skitaid.supervisor.control_records import Inquire, Restart
from skitaid.supervisor.survey import PATIENCE, Asker
from skitaid.workers import control

REPORT = control.Report()


def handed_over(imagined: ImaginedMaster) -> HandOver:
    """What the last event has completed."""
    (action,) = imagined.did(HandOver)
    return action


def test_all_are_asked_the_asker_too_and_it_gets_all_answers() -> None:
    """When the last has answered, and not before."""
    imagined = ImaginedMaster()
    first, second = imagined.serve()

    imagined.tell(ev.WorkerAsks(first, 5, REPORT))
    assert imagined.told() == dict.fromkeys([first, second], control.Inquire(1, REPORT))
    imagined.tell(ev.WorkerTold(second, 1))
    assert not imagined.did(HandOver)
    imagined.tell(ev.WorkerTold(first, 1))

    survey = handed_over(imagined).survey
    assert survey.askers == [Asker(first, 5)]
    assert survey.told == {first: 0, second: 1}
    assert survey.silent == []
    assert [each.ordinal for each in handed_over(imagined).facts.workers] == [0, 1]


def test_who_does_not_answer_is_waited_for_a_second() -> None:
    """Then it is named, and what it says later is thrown away."""
    imagined = ImaginedMaster()
    first, second = imagined.serve()
    imagined.tell(ev.WorkerAsks(first, 5, REPORT))
    imagined.tell(ev.WorkerTold(first, 1))

    imagined.wait(PATIENCE)
    survey = handed_over(imagined).survey
    imagined.tell(ev.WorkerTold(second, 1))

    assert (list(survey.told), survey.silent) == ([first], [1])
    assert imagined.done == [Drop(second, 1)]


def test_who_dies_is_not_waited_for() -> None:
    """Nor is it silent: it is not there."""
    imagined = ImaginedMaster()
    first, second = imagined.serve()
    imagined.tell(ev.WorkerAsks(first, 5, REPORT))
    imagined.tell(ev.WorkerTold(first, 1))

    imagined.die(second)

    assert handed_over(imagined).survey.silent == []


def test_what_the_dead_have_said_counts() -> None:
    """It was true a moment ago."""
    imagined = ImaginedMaster()
    first, second = imagined.serve()
    imagined.tell(ev.WorkerAsks(first, 5, REPORT))
    imagined.tell(ev.WorkerTold(second, 1))
    imagined.die(second)
    imagined.tell(ev.WorkerTold(first, 1))

    assert handed_over(imagined).survey.told == {second: 1, first: 0}


def test_who_boots_is_not_asked() -> None:
    """Its loop does not run yet; for its stacks it is."""
    imagined = ImaginedMaster()
    first, second = imagined.start()
    imagined.ready(first)

    imagined.tell(ev.Asked(9, Inquire(REPORT)))
    assert list(imagined.told()) == [first]
    imagined.tell(ev.WorkerTold(first, 1))
    assert handed_over(imagined).survey.askers == [Asker(0, 9)]
    imagined.tell(ev.Asked(10, Inquire(control.Stacks())))

    assert imagined.did(Dump) == [Dump(first), Dump(second)]


def test_without_workers_the_answer_is_empty_at_once() -> None:
    """While the server starts."""
    imagined = ImaginedMaster()
    imagined.start()
    imagined.tell(ev.Asked(9, Inquire(REPORT)))

    assert handed_over(imagined).survey.told == {}


def test_stacks_are_asked_for_by_a_signal_that_all_askers_share() -> None:
    """Two signals in a row would be one, so the second asker waits for the same answers."""
    imagined = ImaginedMaster()
    first, second = imagined.serve()
    imagined.tell(ev.Asked(9, Inquire(control.Stacks())))
    assert imagined.did(Dump) == [Dump(first), Dump(second)]
    imagined.tell(ev.WorkerAsks(first, 5, control.Stacks()))
    assert imagined.did(Dump) == []
    for serial in (first, second):
        imagined.tell(ev.WorkerTold(serial, control.BY_SIGNAL))

    assert handed_over(imagined).survey.askers == [Asker(0, 9), Asker(first, 5)]


def test_stacks_that_nobody_has_asked_for_are_thrown_away() -> None:
    """A signal by hand, or of the master that ends a hung worker."""
    imagined = ImaginedMaster()
    first, _ = imagined.serve()

    imagined.tell(ev.WorkerTold(first, control.BY_SIGNAL))

    assert imagined.done == [Drop(first, control.BY_SIGNAL)]


def test_a_second_answer_takes_the_place_of_the_first() -> None:
    """As stacks of a survey before, told late, and then those of this one: what is held is handed
    over, so it is not dropped.
    """
    imagined = ImaginedMaster()
    first, second = imagined.serve()
    imagined.tell(ev.Asked(9, Inquire(control.Stacks())))
    imagined.tell(ev.WorkerTold(first, control.BY_SIGNAL))
    imagined.tell(ev.WorkerTold(first, control.BY_SIGNAL))
    assert imagined.did(Drop) == []
    imagined.tell(ev.WorkerTold(second, control.BY_SIGNAL))

    assert handed_over(imagined).survey.told == {first: 0, second: 1}


def test_two_surveys_do_not_mix() -> None:
    """Each answer goes by the number of its question."""
    imagined = ImaginedMaster()
    first, second = imagined.serve()
    imagined.tell(ev.WorkerAsks(first, 5, REPORT))
    imagined.tell(ev.WorkerAsks(second, 6, control.InHand()))
    for serial in (first, second):
        imagined.tell(ev.WorkerTold(serial, 2))

    survey = handed_over(imagined).survey
    assert (survey.number, survey.askers) == (2, [Asker(second, 6)])


def test_a_restart_in_place_hands_over_what_is_there() -> None:
    """The next program knows of no questions."""
    imagined = ImaginedMaster()
    first, _ = imagined.serve()
    imagined.tell(ev.Asked(7, Restart()))
    imagined.tell(ev.WorkerAsks(first, 5, REPORT))
    imagined.tell(ev.WorkerTold(first, 1))

    imagined.end_trial()

    assert handed_over(imagined).survey.silent == [1]


def test_long_errors_fit_into_a_record_with_all_workers() -> None:
    """A packet that is too long would be cut, and be no record; their ends are told."""
    imagined = ImaginedMaster(processes=400)
    first, *_ = imagined.serve()
    imagined.book.note_change("x" * control.TEXT_MAX + "of it", 0.0)
    imagined.book.note_error("ü" * control.TEXT_MAX + "the end", 0.0)
    imagined.tell(ev.WorkerAsks(first, 5, REPORT))
    imagined.wait(PATIENCE)
    facts = handed_over(imagined).facts
    record = control.Answers(5, facts, list(range(250)), list(range(400)), is_last=True)

    assert (facts.last_error[-7:], facts.last_change_error[-5:]) == ("the end", "of it")
    assert len(msgspec.msgpack.encode(record)) < control.PACKET_MAX


def test_the_last_change_is_told() -> None:
    """Whether it was done, or why not."""
    imagined = ImaginedMaster(processes=1)
    imagined.serve()

    def last() -> tuple[bool, str]:
        imagined.tell(ev.Asked(9, Inquire(REPORT)))
        imagined.wait(PATIENCE)
        facts = handed_over(imagined).facts
        return facts.last_change_at is not None, facts.last_change_error

    assert last() == (False, "")
    imagined.conf = "web.conf:7: a mistake"
    imagined.reload()
    told, error = last()
    assert told and error.endswith("web.conf:7: a mistake")
    imagined.conf = imagined.book.settings
    imagined.reload()
    imagined.ready(max(imagined.alive))
    imagined.die(min(imagined.alive), 0)
    assert last() == (True, "")
