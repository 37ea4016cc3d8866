"""The last quarter of an hour as lines. Pure: geometry here, its SVG in templates/charts.html.

A chart is drawn in a box of `WIDTH` by `HEIGHT` units that the page stretches; its labels stand
beside it as text. What was not measured is a gap, not a zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec

from . import wording
from .document import History

WIDTH, HEIGHT = 600, 100

Values = Sequence[float | None]


class Line(msgspec.Struct, frozen=True):
    """name: in the legend. style: its class, which gives it a colour and dashes."""

    name: str
    style: str
    path: str  # of an SVG path; "": nothing was measured
    area: str  # the same down to zero; "": it is a line only
    now: str  # the last value


class Chart(msgspec.Struct, frozen=True):
    """summary: what a reader who does not see it is told."""

    name: str
    title: str
    top: str  # what its upper edge means
    lines: list[Line]
    summary: str


def charts(history: History) -> list[Chart]:
    """All of the page, in its order."""
    return [
        _chart(
            "rate",
            "Requests per second",
            wording.count,
            [("answered", "main", history.requests), ("with 5xx", "bad", history.errors)],
            filled=True,
        ),
        _chart(
            "latency",
            "Latency",
            wording.seconds,
            [
                ("p50", "main", history.p50),
                ("p95", "warn", history.p95),
                ("p99", "bad", history.p99),
            ],
        ),
        _chart(
            "flight", "In flight", wording.count, [("requests", "main", history.in_flight)], True
        ),
        _chart(
            "queue",
            "Wait for a thread",
            wording.seconds,
            [("p95", "main", history.queue_p95)],
            True,
        ),
    ]


def _chart(
    name: str,
    title: str,
    words: Callable[[float], str],
    series: Sequence[tuple[str, str, Values]],
    filled: bool = False,
) -> Chart:
    known = [value for _, _, values in series for value in values if value is not None]
    top = nice(max(known, default=0.0))
    lines = [_line(each, words, top, filled and not index) for index, each in enumerate(series)]
    return Chart(name, title, words(top), lines, _summary(title, words, series))


def _line(
    series: tuple[str, str, Values], words: Callable[[float], str], top: float, filled: bool
) -> Line:
    name, style, values = series
    runs = _runs(values, top)
    path = "".join("M" + "L".join(f"{x:g} {y:g}" for x, y in run) for run in runs)
    area = "".join(_area(run) for run in runs) if filled else ""
    last = values[-1] if values else None
    return Line(name, style, path, area, wording.NOTHING if last is None else words(last))


def _runs(values: Values, top: float) -> list[list[tuple[float, float]]]:
    """Points without gaps between them; a single one is drawn as a short dash."""
    step = WIDTH / max(1, len(values) - 1)
    runs: list[list[tuple[float, float]]] = []
    is_gap = True
    for index, value in enumerate(values):
        if value is None:
            is_gap = True
            continue
        if is_gap:
            runs.append([])
        is_gap = False
        runs[-1].append((round(index * step, 1), round(HEIGHT * (1 - value / top), 1)))
    return [run if len(run) > 1 else [run[0], (run[0][0] + 1, run[0][1])] for run in runs]


def _area(run: list[tuple[float, float]]) -> str:
    points = "L".join(f"{x:g} {y:g}" for x, y in run)
    return f"M{run[0][0]:g} {HEIGHT}L{points}L{run[-1][0]:g} {HEIGHT}Z"


def _summary(
    title: str, words: Callable[[float], str], series: Sequence[tuple[str, str, Values]]
) -> str:
    parts = []
    for name, _, values in series:
        known = [value for value in values if value is not None]
        if known:
            now = wording.NOTHING if values[-1] is None else words(values[-1])
            parts.append(f"{name} now {now}, at most {words(max(known))}")
    told = "; ".join(parts) or "nothing was measured"
    return f"{title}, last 15 minutes: {told}."


def nice(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(each * power for each in (1.0, 2.0, 5.0, 10.0) if value <= each * power * 1.000001)
