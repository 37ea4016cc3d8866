"""Figures as an operator reads them. Pure; what is not known is a dash.

Three significant digits at the most: who wants more reads status.json.
"""

from __future__ import annotations

import re
import time

from markupsafe import Markup, escape

NOTHING = "–"

_PUNCTUATION = re.compile(r"([/.:?]+)")
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")


def seconds(value: float | None) -> str:
    """How long something takes: "0.42 ms", "87 ms", "1.24 s", "2 min 5 s"."""
    if value is None:
        return NOTHING
    if value < 0.00995:
        return f"{value * 1000:.2f} ms" if value else "0 ms"
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    if value < 9.995:
        return f"{value:.2f} s"
    if value < 59.95:
        return f"{value:.1f} s"
    return span(value)


def span(value: float | None) -> str:
    """How long something has been so, in its two largest units: "3 h 20 min"."""
    if value is None:
        return NOTHING
    whole = max(0, int(value))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 60:
        return f"{whole} s"
    if minutes < 60:
        return _pair(minutes, "min", whole % 60 if minutes < 10 else 0, "s")
    if hours < 24:
        return _pair(hours, "h", minutes % 60, "min")
    return _pair(days, "d", hours % 24, "h")


def _pair(many: int, unit: str, rest: int, smaller: str) -> str:
    return f"{many} {unit} {rest} {smaller}" if rest else f"{many} {unit}"


def size(value: float) -> str:
    """Bytes: "48.2 MiB"."""
    for unit in _SIZES[:-1]:
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:,.1f} {_SIZES[-1]}"


def count(value: float) -> str:
    """How many: "12,345"; of a rate below ten one digit more."""
    if 0 < value < 9.95 and value != int(value):
        return f"{value:.1f}"
    return f"{value:,.0f}"


def share(part: float, whole: float) -> str:
    """In percent; something that is not nothing does not look like it."""
    if not whole:
        return NOTHING
    percent = 100.0 * part / whole
    if 0 < percent < 0.095:
        return "< 0.1 %"
    return f"{percent:.1f} %" if 0 < percent < 9.95 else f"{percent:.0f} %"


def clock(at: float | None) -> str:
    """Time of day, UTC: "12:04:31"."""
    return NOTHING if at is None else time.strftime("%H:%M:%S", time.gmtime(at))


def date(at: float | None) -> str:
    """Day and time, UTC: "2026-03-01 12:04:31"."""
    return NOTHING if at is None else time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))


def iso(at: float) -> str:
    """For the `datetime` of a `<time>`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def plural(number: int, one: str, many: str = "") -> str:
    """ "1 request", "2 requests"; many: for words that do not just take an s."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def anchor(*names: str) -> str:
    """An id for a place of the page, of letters, digits, - and _: different for different names."""
    return "-".join("".join(_of_id(each) for each in name) for name in names)


def _of_id(letter: str) -> str:
    return letter if letter.isascii() and letter.isalnum() else f"_{ord(letter):x}_"


def breakable(text: str) -> Markup:
    """HTML of a path or address that may be broken behind its punctuation."""
    return Markup("").join(_breakable(piece) for piece in _PUNCTUATION.split(text))


def _breakable(piece: str) -> Markup:
    return escape(piece) + Markup("<wbr>") if _PUNCTUATION.fullmatch(piece) else escape(piece)
