"""What of a page has changed."""

from __future__ import annotations

import re

import imagined_status
import msgspec
from html_tree import tree
from hypothesis import given
from hypothesis import strategies as st

from skitaid.workers.admin.page import Page
from skitaid.workers.admin.parts import CELL, ROWS, Part, changes, whole

PAGE = Page("/skitai")

cells = st.lists(st.sampled_from(["<td>1</td>", "<td>2</td>", "<td>\n3</td>"]), max_size=4)
row = st.builds(lambda each: "<tr>\n" + "".join(f"{cell}\n" for cell in each) + "</tr>", cells)
rows = st.dictionaries(st.sampled_from("abcdef"), row, max_size=5)
parts = st.dictionaries(
    st.sampled_from("xyz"),
    st.builds(lambda head, each: Part(head + ROWS, each), st.sampled_from("HI"), rows),
    min_size=3,
)


@given(parts, parts)
def test_changes_make_the_one_the_other(before: dict[str, Part], after: dict[str, Part]) -> None:
    """Whoever puts them in their places, rows into parts and cells into rows, has what a new page
    would show."""
    sent = changes(before, after)
    have = {name: Part(each.frame, dict(each.rows)) for name, each in before.items()}
    for name, part in after.items():
        if name in sent:
            assert sent[name] == part.html
            have[name] = part
        else:
            for key, html in have[name].rows.items():
                have[name].rows[key] = put(html, sent.get(key, {}))
    assert whole(have) == whole(after)


def put(html: str, change: str | dict[int, str]) -> str:
    """As the script does."""
    if isinstance(change, str):
        return change
    pieces = re.split(r"(<td>(?:.|\n)*?</td>)", html)
    for index, cell in change.items():
        pieces[2 * index + 1] = cell
    return "".join(pieces)


@given(parts)
def test_the_same_is_no_change(same: dict[str, Part]) -> None:
    """Then nothing is sent."""
    assert changes(same, dict(same)) == {}


def test_traffic_changes_cells_only() -> None:
    """A second later the cells that were counted in are sent, not their rows and tables."""
    before = PAGE.parts(imagined_status.status(routes=50))
    after = PAGE.parts(imagined_status.status(routes=50, tick=1))
    sent = changes(before, after)
    assert {"head", "charts", "worker-0", "cluster-search"} < sent.keys()
    assert not {"workers", "clusters", "routes", "pools", "slow", "errors"} & sent.keys()
    assert sent["worker-0"] == {
        8: '<td class="n">10</td>',
        12: '<td class="n">301,060</td>',
    }
    del sent["charts"]
    assert len(msgspec.json.encode(sent)) < sum(map(len, whole(after).values())) / 5


def test_cells_are_counted_as_the_browser_counts_them() -> None:
    """A line that begins with a cell is one, and there are no others."""
    for part in PAGE.parts(imagined_status.status()).values():
        for row in part.rows.values():
            if not row.startswith("<li"):
                found = [each for each in tree(row.encode()).walk() if each.tag in ("td", "th")]
                lines = [each for each in row.split("\n") if each.startswith(CELL)]
                assert len(lines) == len(found) > 0
