"""The metrics: what Prometheus reads is right, and stays so whatever becomes of workers."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from looks import CONF, basic, look
from operator_session import Home
from prometheus_client import openmetrics
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families
from served import Server
from waits import wait_until

APP = """
from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/hello")
def hello(was):
    return "hello"


@app.route("/quote<path:rest>")
def quote(was, rest):
    was.response.start(404)
    return rest


@app.route("/ask")
def ask(was):
    return [each.status for each in was.map("back/hello", method="GET").getswait(timeout=2)]
"""
WORKERS = 4

Samples = dict[str, dict[tuple[str, ...], float]]


def scrape(server: Server) -> Samples:
    """All samples: by name, then by the values of their labels in the order of their names."""
    reply = look(server, "metrics")
    assert reply.status == 200, reply.text
    samples: Samples = {}
    for family in text_string_to_metric_families(reply.text):
        for sample in family.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            samples.setdefault(sample.name, {})[labels] = sample.value
    return samples


def load(server: Server, count: int, connections: int = 16) -> None:
    """So many requests, all answered with 200."""

    def ask(_: int) -> None:
        with closing(server.connect()) as connection:
            for _ in range(count // connections):
                connection.request("GET", "/hello")
                response = connection.getresponse()
                assert (response.status, response.read()) == (200, b"hello")

    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(ask, range(connections)))


def grown(before: Samples, after: Samples) -> None:
    """Counters and histograms never go backwards, and none is lost."""
    for name, values in before.items():
        if name.endswith(("_total", "_bucket", "_count", "_sum")):
            for labels, value in values.items():
                assert after[name][labels] >= value, (name, labels)


@pytest.fixture(scope="module")
def server(shared_home: Home) -> Iterator[Server]:
    """Four workers that ask themselves."""
    port = shared_home.write_conf("web")
    yield shared_home.serve(
        "web",
        apps={"webapp.py": APP},
        port=port,
        processes=WORKERS,
        more=CONF,
        sections=f"[@back]\nmembers = 127.0.0.1:{port}\n",
    )


def test_figures_are_those_of_the_load_though_workers_are_killed(server: Server) -> None:
    """Every request that was answered is counted once, whoever has answered it, alive or dead."""
    load(server, 320)
    first = scrape(server)
    assert first["skitai_requests_total"]["app", "2xx"] == 320
    victim = server.workers()[0]

    os.kill(victim, signal.SIGKILL)
    wait_until(
        lambda: (
            victim not in server.workers()
            and [worker.state for worker in server.status().workers] == ["ready"] * WORKERS
        ),
        "nobody has taken the place of the dead",
    )
    second = scrape(server)
    load(server, 320)
    third = scrape(server)

    grown(first, second)
    grown(second, third)
    assert second["skitai_requests_total"]["app", "2xx"] == 320
    assert third["skitai_requests_total"]["app", "2xx"] == 640
    assert third["skitai_route_requests_total"]["", "/hello", "2xx"] == 640
    assert third["skitai_queue_seconds_count"][()] == 640
    # Those that have scraped are there, too.
    (latencies,) = third["skitai_request_seconds_count"].values()
    assert latencies == 640 + third["skitai_requests_total"]["admin", "2xx"]
    assert 0 < third["skitai_request_seconds_sum"]["2xx",] < 640
    assert third["skitai_workers"]["ready",] == WORKERS
    assert third["skitai_workers_silent"][()] == 0


@pytest.mark.parametrize("order", [signal.SIGHUP, signal.SIGUSR2], ids=["reload", "restart"])
def test_a_reload_and_a_restart_take_nothing_away(server: Server, order: signal.Signals) -> None:
    """All workers are others then, and after a restart the master is another program."""
    before = scrape(server)
    old = set(server.workers())

    server.send(order)
    wait_until(
        lambda: (
            not old & set(server.workers())
            and [worker.state for worker in server.status().workers] == ["ready"] * WORKERS
        ),
        "the workers are not replaced",
    )
    load(server, 160)
    after = scrape(server)

    grown(before, after)
    served = "skitai_requests_total"
    assert after[served]["app", "2xx"] == before[served]["app", "2xx"] + 160
    assert after["skitai_generation"][()] == before["skitai_generation"][()] + 1
    assert after["skitai_last_reload_failed"][()] == 0


def test_buckets_are_cumulative(server: Server) -> None:
    """And the last one has all."""
    load(server, 160)
    samples = scrape(server)

    buckets = [
        (float("inf") if bound == "+Inf" else float(bound), value)
        for (bound, status), value in samples["skitai_request_seconds_bucket"].items()
        if status == "2xx"
    ]

    counts = [value for _, value in sorted(buckets)]
    assert counts == sorted(counts)
    assert counts[-1] == samples["skitai_request_seconds_count"]["2xx",]


def test_members_are_measured(server: Server) -> None:
    """What is asked of others, by cluster and by member."""
    (node,) = list(scrape(server)["skitai_member_up"])
    for _ in range(10):
        assert server.get("/ask").json() == [3]

    samples = scrape(server)

    assert samples["skitai_upstream_seconds_count"]["back", "normal"] == 10
    assert samples["skitai_member_requests_total"][*node, "normal"] == 10
    assert samples["skitai_member_up"][node] == 1
    assert samples["skitai_pool_connections"][*node, "idle"] > 0


def test_whatever_is_asked_for_cannot_break_the_text(server: Server) -> None:
    """Labels are rules of the conf and the apps, never what a client has sent."""
    evil = '/quote"} 1\n\\x'
    assert server.get("/quote%22%7D%201%0A%5Cx").status == 404

    text = look(server, "metrics").text

    assert evil not in text
    assert '"/quote<path:rest>"' in text


def test_every_name_follows_the_conventions(server: Server) -> None:
    """One prefix, base units, a sentence of help; counters end in _total."""
    families: list[Metric] = list(text_string_to_metric_families(look(server, "metrics").text))

    for family in families:
        assert family.name == "skitai_info" or family.name.startswith("skitai_")
        assert family.documentation.endswith(".")
        assert not family.name.endswith(("_ms", "_milliseconds", "_kb"))
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples)


def test_openmetrics_for_who_prefers_it(server: Server) -> None:
    """As newer versions of Prometheus ask."""
    accept = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
    reply = server.get("/skitai/metrics", {**basic(), **accept})

    assert reply.headers["Content-Type"].startswith("application/openmetrics-text")
    assert openmetrics.exposition.CONTENT_TYPE_LATEST.startswith("application/openmetrics-text")
    assert "skitai_requests" in {family.name for family in parse_openmetrics(reply.text)}


def test_the_reference_has_every_metric(server: Server) -> None:
    """And no other."""
    with open(os.path.join(os.path.dirname(__file__), "../../docs/reference/metrics.md")) as page:
        rows = [line.split("|")[1] for line in page if line.startswith("| `skitai_")]
    written = {name.strip(" `") for row in rows for name in row.split(",")}

    families = list(text_string_to_metric_families(look(server, "metrics").text))

    assert {name.removesuffix("_total") for name in written} == {each.name for each in families}


DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.mark.parametrize("file", ["grafana/skitai.json", "prometheus/skitai.yml"])
def test_what_dashboard_and_alarms_look_at_is_there(server: Server, file: str) -> None:
    """Each metric, with the labels that it is picked by."""
    assert server.get("/ask").json() == [3]
    samples = [
        sample
        for family in text_string_to_metric_families(look(server, "metrics").text)
        for sample in family.samples
    ]
    labels: dict[str, set[str]] = {}
    for sample in samples:
        labels.setdefault(sample.name, set()).update(sample.labels)
    labels["skitai_certificate_expires_timestamp_seconds"] = {"file"}  # with `ssl = yes`
    text = (DEPLOY / file).read_text()

    used = re.findall(r"(skitai_[a-z_]+)(?:\{([^}]*)\})?", text.replace('\\"', '"'))

    assert len({name for name, _ in used}) > 5
    for name, matchers in used:
        assert name in labels, name
        picked = set(re.findall(r'(\w+)=~?"', matchers)) - {"job", "instance"}
        assert picked <= labels[name], (name, picked)


def test_the_dashboard_is_one() -> None:
    """Its panels have numbers and places of their own, and say what they show."""
    dashboard = json.loads((DEPLOY / "grafana/skitai.json").read_text())

    panels = dashboard["panels"]

    assert len({panel["id"] for panel in panels}) == len(panels) >= 20
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    assert all(panel["targets"] for panel in panels)
