"""What of a page has changed."""

from __future__ import annotations

import imagined_status
from hypothesis import given
from hypothesis import strategies as st

from skitaid.workers.admin.page import Page
from skitaid.workers.admin.parts import ROWS, Part, changes, whole

PAGE = Page("/skitai")

rows = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("123"), max_size=5)
parts = st.dictionaries(
    st.sampled_from("xyz"),
    st.builds(lambda head, each: Part(head + ROWS, each), st.sampled_from("HI"), rows),
    min_size=3,
)


@given(parts, parts)
def test_changes_make_the_one_the_other(before: dict[str, Part], after: dict[str, Part]) -> None:
    """Whoever puts them in their places, rows into rows, has what a new page would show."""
    sent = changes(before, after)
    have = {name: Part(each.frame, dict(each.rows)) for name, each in before.items()}
    for name, part in after.items():
        if name in sent:
            assert sent[name] == part.html
            have[name] = part
        else:
            for key in have[name].rows:
                have[name].rows[key] = sent.get(key, have[name].rows[key])
    assert whole(have) == whole(after)


@given(parts)
def test_the_same_is_no_change(same: dict[str, Part]) -> None:
    """Then nothing is sent."""
    assert changes(same, dict(same)) == {}


def test_traffic_changes_rows_only() -> None:
    """A second later the rows that were counted in are sent, not their tables."""
    before = PAGE.parts(imagined_status.status(routes=50))
    after = PAGE.parts(imagined_status.status(routes=50, tick=1))
    sent = changes(before, after)
    assert {"head", "charts", "worker-0", "cluster-search"} < sent.keys()
    assert not {"workers", "clusters", "routes", "pools", "slow", "errors"} & sent.keys()
    assert sum(map(len, sent.values())) < sum(map(len, whole(after).values())) / 2
