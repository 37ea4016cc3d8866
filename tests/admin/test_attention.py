"""What an operator should look at first."""

from __future__ import annotations

import imagined_status
from msgspec.structs import replace

from skitaid.workers.admin.attention import Finding, findings, first_line
from skitaid.workers.admin.document import App, Certificate, Change, Failure, Pool, Status

CALM = imagined_status.empty()
NOW = CALM.server.time


def told(status: Status) -> list[str]:
    return [f"{each.level}: {each.text} #{each.place}" for each in findings(status)]


def test_nothing() -> None:
    """A server that is well is not talked about."""
    assert findings(CALM) == []


def test_workers_that_do_not_answer_or_are_missing() -> None:
    """A worker that hangs is named with its place, and how many are ready is said."""
    worker = replace(CALM.workers[0], answers=False, silent=12.0)
    status = replace(CALM, workers=[worker], server=replace(CALM.server, processes=2))
    assert told(status) == [
        "bad: Worker 0 does not answer; silent for 12 s. #worker-0",
        "warn: 1 of 2 workers are ready. #workers",
    ]


def test_a_change_that_was_abandoned_and_workers_that_die() -> None:
    """Both lead to where the reason is."""
    server = replace(CALM.server, last_change=Change(NOW, "SyntaxError"), crashes=2)
    assert told(replace(CALM, server=server)) == [
        "bad: The last reload or restart was abandoned; the code and conf before it go on."
        " #last-change",
        "bad: Workers die: 2 failures in a row. #last-error",
    ]


def test_a_server_that_stops() -> None:
    """Then workers that are missing are no news."""
    server = replace(CALM.server, state="stopping", processes=4)
    assert told(replace(CALM, server=server)) == ["warn: The server is stopping. #workers"]


def test_errors_of_the_last_minute() -> None:
    """From one in a hundred on they are said, from one in twenty on they are a problem."""
    steps = [100.0] * 20
    history = replace(CALM.history, every=5.0, requests=steps, errors=[0.0] * 8 + [2.0] * 12)
    assert told(replace(CALM, history=history)) == [
        "warn: 2.0 % of the last minute's requests failed (5xx). #routes"
    ]
    history = replace(history, errors=[9.0] * 20)
    assert findings(replace(CALM, history=history))[0].level == "bad"
    history = replace(history, errors=[90.0] * 8 + [0.0] * 12)
    assert findings(replace(CALM, history=history)) == []


def test_requests_that_wait_for_a_thread() -> None:
    """All workers' together."""
    workers = [replace(CALM.workers[0], queued=2), replace(CALM.workers[0], queued=1)]
    status = replace(CALM, workers=workers)
    assert told(status) == ["warn: 3 requests wait for a handler thread. #workers"]


def test_members() -> None:
    """An ill member is named with its last error, a full pool leads to the pool, and a drained
    member is nobody's trouble."""
    cluster = imagined_status.status(clusters=1, members=3).clusters[0]
    fine, other, ill = cluster.members
    busy = replace(fine, pool=Pool(4, 4, 0, 0, 1))
    drained = replace(other, state="drained")
    status = replace(CALM, clusters=[replace(cluster, members=[busy, drained, ill])])
    found = findings(status)
    assert found == [
        Finding(
            "bad",
            "10.0.0.12:5000 of @search is ejected: not connected: Connection refused",
            "member-search-10_2e_0_2e_0_2e_12_3a_5000",
        ),
        Finding(
            "warn",
            "1 request waits for a connection to 10.0.0.10:5000 of @search.",
            "pool-search-10_2e_0_2e_0_2e_10_3a_5000",
        ),
    ]


def test_a_cluster_without_anybody_to_ask() -> None:
    """Whoever has wanted it so."""
    cluster = imagined_status.status(clusters=1, members=1).clusters[0]
    drained = replace(cluster, members=[replace(cluster.members[0], state="drained")])
    for status in (replace(CALM, clusters=[drained]), replace(CALM, databases=[drained])):
        assert told(status) == ["bad: @search has no member that is up. #cluster-search"]


def test_certificates() -> None:
    """Two weeks before it ends a certificate is spoken of, three days before it is a problem."""
    ends = (-5.0, 2 * 86400.0, 10 * 86400.0, 90 * 86400.0)
    tls = [Certificate(f"/cert/{index}", [], NOW + each, each) for index, each in enumerate(ends)]
    assert told(replace(CALM, tls=tls)) == [
        "bad: The certificate of /cert/0 has expired. #tls",
        "bad: The certificate of /cert/1 ends in 2 d. #tls",
        "warn: The certificate of /cert/2 ends in 10 d. #tls",
    ]


def test_apps_and_errors_of_the_log() -> None:
    """What was logged longer ago than five minutes is no news."""
    app = App("/shop", "shop", "/srv/shop", True, NOW, "SyntaxError", [])
    new = Failure(NOW - 10, NOW - 900, 4, 0, "skitai.app", "it broke\nhere", "", "")
    old = Failure(NOW - 400, NOW - 900, 4, 0, "skitai.app", "it broke before", "", "")
    status = replace(CALM, apps=[app], errors=[new, old])
    assert told(status) == [
        "bad: The changed file of /shop does not import. #apps",
        "warn: 1 kind of error in the log within 5 min: it broke #errors",
    ]


def test_long_messages_are_cut() -> None:
    """A finding is one line."""
    assert first_line("a" * 200 + "\nb") == "a" * 119 + "…"
