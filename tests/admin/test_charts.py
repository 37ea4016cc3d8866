"""History as lines."""

from __future__ import annotations

import imagined_status
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from skitaid.workers.admin.charts import HEIGHT, WIDTH, Chart, charts, nice
from skitaid.workers.admin.document import History

HISTORY = imagined_status.status().history


def chart(history: History, name: str) -> Chart:
    (found,) = [each for each in charts(history) if each.name == name]
    return found


def test_what_was_not_measured_is_a_gap() -> None:
    """A line ends where nothing was measured and begins anew behind it, not at zero."""
    p50 = [0.5, 1.0, None, 0.5, 0.5]
    history = replace(HISTORY, p50=p50, p95=[None] * 5, p99=[None] * 5)
    first, second, _ = chart(history, "latency").lines
    assert first.path == f"M0 50L{WIDTH / 4:g} 0M{WIDTH * 3 / 4:g} 50L{WIDTH} 50"
    assert (second.path, second.now) == ("", "–")


def test_a_single_measurement_is_seen() -> None:
    """A point alone is drawn as a short dash."""
    history = replace(HISTORY, queue_p95=[None, 0.1, None])
    assert chart(history, "queue").lines[0].path == "M300 0L301 0"


def test_an_area_goes_down_to_zero() -> None:
    """Under the rate there is an area, from its first point to its last."""
    rate = chart(replace(HISTORY, requests=[1.0, 2.0], errors=[0.0, 0.0]), "rate")
    assert rate.lines[0].area == f"M0 {HEIGHT}L0 50L{WIDTH} 0L{WIDTH} {HEIGHT}Z"
    assert rate.lines[1].area == ""


def test_the_summary_tells_what_the_lines_show() -> None:
    """Who does not see the chart is told its last and its highest values."""
    history = replace(HISTORY, requests=[120.0, 340.0, 80.0], errors=[0.0, 2.0, 0.0])
    assert chart(history, "rate").summary == (
        "Requests per second, last 15 minutes: answered now 80, at most 340;"
        " with 5xx now 0, at most 2."
    )


def test_a_server_without_a_past() -> None:
    """Charts without any value are empty, and say so."""
    for each in charts(History(5.0, [], [], [], [], [], [], [], [])):
        assert [line.path for line in each.lines] == [""] * len(each.lines)
        assert each.summary.endswith("nothing was measured.")


@given(st.floats(min_value=1e-6, max_value=1e12))
def test_scales_are_round_and_near(value: float) -> None:
    """The upper edge is 1, 2 or 5 times a power of ten, above the values and not far above."""
    top = nice(value)
    assert value <= top * 1.00001 < value * 2.6
    assert f"{top:.0e}"[0] in "125"
