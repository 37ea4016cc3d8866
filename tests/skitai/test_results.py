"""What apps are given: results to be looked at, compared and printed."""

from __future__ import annotations

import pytest

from skitai.errors import CallFailed, DeadlinePassed
from skitai.results import Result, Results, Status


def result(status: Status = Status.NORMAL, data: object = "hello", msg: str = "") -> Result:
    code = 200 if status is Status.NORMAL else 0
    return Result(
        status, data, code, msg, "s1:5000", 0.0125, ((b"A", b"1"), (b"b", b"2"), (b"a", b"3"))
    )


REFUSED = result(Status.NOT_CONNECTED, "", "connection refused")


def test_status_is_a_number_and_a_name() -> None:
    """`== 3` is what apps have always written."""
    assert result().status == 3
    assert result().status is Status.NORMAL
    assert [int(status) for status in Status] == [0, 1, 2, 3]


@pytest.mark.parametrize("status", Status)
def test_ok_means_normal(status: Status) -> None:
    """Nothing else is."""
    assert result(status).ok == (status == 3)


def test_throw_gives_what_is_normal() -> None:
    """So that it can stand in a chain."""
    assert result().throw().data == "hello"
    results = Results([result(), result()])
    assert results.throw() is results


@pytest.mark.parametrize("status", [Status.NOT_CONNECTED, Status.TIMEOUT, Status.FAILED])
def test_throw_raises_what_is_not(status: Status) -> None:
    """A deadline that has passed is told from other failures; the result says the rest."""
    failed = result(status, "", "the reason why")
    with pytest.raises(CallFailed, match=r"s1:5000: .*: the reason why") as raised:
        failed.throw()
    assert raised.value.result is failed
    assert isinstance(raised.value, DeadlinePassed) == (status == 1)
    assert isinstance(raised.value, TimeoutError) == (status == 1)
    with pytest.raises(CallFailed) as raised:
        Results([result(), failed, REFUSED]).throw()
    assert raised.value.result is failed


def test_a_result_as_text_is_its_data() -> None:
    """So that a handler may return str(s.getwait())."""
    assert str(result()) == "hello"
    assert str(result(data=[1, 2])) == "[1, 2]"


def test_a_failed_result_as_text_says_who_and_why() -> None:
    """Instead of nothing."""
    assert str(REFUSED) == "s1:5000: not connected: connection refused"


def test_a_result_for_the_log_shows_all_but_the_data() -> None:
    """Which may be large, or private."""
    assert repr(result()) == "<Result s1:5000 NORMAL 200 '' 0.013s>"
    assert repr(REFUSED) == "<Result s1:5000 NOT_CONNECTED 0 'connection refused' 0.013s>"


def test_header_fields_are_found_in_any_case() -> None:
    """The first of several; a default for none."""
    assert result().get_header("A") == "1"
    assert result().get_header("c") is None
    assert result().get_header("c", "none") == "none"


def test_results_are_a_sequence() -> None:
    """To be indexed, sliced, counted and looped over, in order."""
    one, two, three = result(data=1), result(data=2), result(data=3)
    results = Results([one, two, three])
    assert list(results) == [one, two, three]
    assert (len(results), results[0], results[-1]) == (3, one, three)
    assert list(results[1:]) == [two, three]
    assert two in results
    assert results.index(three) == 2
    with pytest.raises(IndexError):
        results[3]


def test_results_know_who_failed() -> None:
    """And whether anybody did."""
    results = Results([result(), REFUSED, result(Status.TIMEOUT)])
    assert results.status == [3, 0, 1]
    assert not results.ok
    assert [each.status for each in results.failed] == [0, 1]
    assert Results([result(), result()]).ok
    assert Results([]).ok


def test_results_for_the_log_show_each() -> None:
    """In order."""
    assert repr(Results([REFUSED])) == f"Results([{REFUSED!r}])"
