"""What the status page costs: to make it, and to keep it up to date.

    python benchmarks/status_page.py

CPU time of the thread that renders, the median of `ROUNDS`; the document is made up, so what it
takes to ask the workers is not in it. A page of the large server is to take less than 100 ms.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import imagined_status
import msgspec

from skitaid.workers.admin.document import Status
from skitaid.workers.admin.page import Page
from skitaid.workers.admin.parts import Changes, Parts, changes

ROUNDS = 15
SIZES = {
    "small": {"workers": 2, "clusters": 1, "members": 3, "routes": 10},
    "large": {"workers": 16, "clusters": 50, "members": 4, "routes": 1000},
}


def main() -> None:
    page = Page("/skitai")
    print("server   page       bytes  all routes       bytes    update   of bytes")
    for name, size in SIZES.items():
        now, later = (imagined_status.status(**size, tick=tick) for tick in (0, 2))
        before, after = page.parts(now), page.parts(later)
        sent = len(msgspec.json.encode(changes(before, after)))
        whole, routes = page.whole(now, "token"), page.all_routes(now)
        print(
            f"{name:6} {took(page.whole, now, 'token'):5.1f} ms {len(whole):9,}"
            f"    {took(page.all_routes, now):5.1f} ms {len(routes):9,}"
            f"  {took(update, page, before, later):5.1f} ms {sent:9,}"
        )


def update(page: Page, before: Parts, later: Status) -> Changes:
    """What viewers of a page with `before` are sent."""
    return changes(before, page.parts(later))


def took(act: Callable[..., object], *values: Any) -> float:
    """Milliseconds of CPU."""
    times = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        act(*values)
        times.append(time.thread_time() - began)
    return 1000 * statistics.median(times)


if __name__ == "__main__":
    main()
