"""A status document of a server that does not run, as large as one likes."""

from __future__ import annotations

import math

import msgspec

from skitaid.workers.admin.document import (
    App,
    Cache,
    Certificate,
    Change,
    Cluster,
    Failure,
    History,
    Latency,
    Member,
    Package,
    Pool,
    Requests,
    Route,
    Server,
    SlowRequest,
    Status,
    Wait,
    Worker,
)

NOW = 1_790_000_000.0  # Unix time
STEPS = 180

TRACE = """\
Traceback (most recent call last):
  File "/srv/app/webapp.py", line 31, in company
    return companies[cid]
KeyError: 4711
"""


def status(
    *, workers: int = 4, clusters: int = 2, members: int = 4, routes: int = 12, tick: int = 0
) -> Status:
    """Of a server with traffic and some trouble. tick: what is counted goes on with it."""
    named = [_cluster(index, members, tick) for index in range(clusters)]
    return Status(
        server=_server(workers, tick),
        workers=[_worker(index, tick) for index in range(workers)],
        routes=[_route(index, tick) for index in range(routes)],
        clusters=named,
        databases=[],
        cache=Cache(412, 3_480_000, 18_211 + tick, 2_093, 311, 1),
        slow=[_slow(index, named) for index in range(20)],
        errors=[_failure(index) for index in range(3)],
        apps=[
            App("/", "webapp", "/srv/app/webapp", False, NOW - 7200, "", []),
            App(
                "/shop",
                "shop",
                "/srv/app/shop",
                True,
                NOW - 120,
                "",
                [Package("basket", "/srv/app/shop/basket.py", NOW - 130)],
            ),
        ],
        tls=[Certificate("/etc/skitaid/cert/web.pem", ["www.example.com"], NOW + 9e5, 9e5)],
        history=_history(tick),
        registered={"counter": {"visits": 12 + tick}},
    )


def empty() -> Status:
    """Of a server that has just begun, and was asked for nothing."""
    nothing = Requests(0, {}, 0, Latency(), Latency(), Latency())
    server = msgspec.structs.replace(
        _server(1, 0), requests=nothing, uptime=2.0, last_change=None, last_error=""
    )
    return Status(
        server=server,
        workers=[_worker(0, 0)],
        routes=[],
        clusters=[],
        databases=[],
        cache=Cache(0, 0, 0, 0, 0, 0),
        slow=[],
        errors=[],
        apps=[],
        tls=[],
        history=History(5.0, [], [], [], [], [], [], [], []),
        registered={},
    )


def latency(count: int, scale: float) -> Latency:
    return Latency(count, count * scale, scale, scale * 0.8, scale * 3.1, scale * 7.4)


def _server(workers: int, tick: int) -> Server:
    total = 1_204_331 + 240 * tick
    return Server(
        name="web",
        version="1.0.0",
        python="3.11.2",
        pid=4100,
        address="http://*:5000",
        conf="/etc/skitaid/servers-enabled/web.conf",
        state="serving",
        time=NOW + tick,
        started=NOW - 93_000,
        uptime=93_000.0 + tick,
        generation=3,
        processes=workers,
        answered_by=0,
        requests=Requests(
            total,
            {"2xx": total - 1400, "3xx": 800, "4xx": 520, "5xx": 80},
            12,
            latency(total, 0.021),
            latency(total, 0.0004),
            latency(total * 3, 0.014),
        ),
        last_change=Change(NOW - 7200, ""),
        last_error="worker 1 (pid 4102) was killed by SIGKILL",
        last_error_at=NOW - 40_000,
        crashes=0,
        environment={"uvloop": "0.21.0", "cpus": "8", "open files": "65536", "host": "web-1"},
    )


def _worker(index: int, tick: int) -> Worker:
    return Worker(
        ordinal=index,
        pid=4101 + index,
        state="ready",
        answers=index != 13,
        silent=2.0,
        age=7200.0 + tick,
        generation=3,
        cpu=812.5,
        cpu_share=0.31 + 0.01 * (index % 5),
        rss=(61 + index % 7) << 20,
        connections=212 + index,
        in_flight=9 + (index + tick) % 4,
        running=1 + index % 2,
        parked=7 + index % 3,
        queued=0,
        threads=4,
        requests=301_000 + 60 * tick + index,
        errors=20 if index == 1 else 0,
    )


def _route(index: int, tick: int) -> Route:
    names = ("/search", "/", "/company/<int:cid>", "/basket", "/hello", "/report/<name>")
    count = max(3, 400_000 // (index + 1)) + (tick if index < 20 else 0)
    return Route(
        kind="app",
        rule=names[index] if index < len(names) else f"/part/{index}/<int:number>",
        methods="GET,HEAD" if index % 3 else "GET,HEAD,POST",
        handler=f"webapp.handler_{index}",
        requests=count,
        client_errors=count // 900,
        errors=80 if index == 2 else 0,
        latency=latency(count, 0.004 * (1 + index % 9)),
    )


def _cluster(index: int, members: int, tick: int) -> Cluster:
    names = ("search", "billing")
    name = names[index] if index < len(names) else f"cluster{index}"
    return Cluster(name, "p2c", [_member(index, each, tick) for each in range(members)], 100.0)


def _member(cluster: int, index: int, tick: int) -> Member:
    is_ill = (cluster, index) == (0, 2)
    is_drained = (cluster, index) == (1, 1)
    state = "ejected" if is_ill else "drained" if is_drained else "up"
    count = 90_000 + 1000 * index + (0 if is_ill or is_drained else 11 * tick)
    return Member(
        node=f"10.0.{cluster}.{index + 10}:5000",
        state=state,
        weight=1,
        in_flight=0 if is_ill or is_drained else 3 + index % 3,
        ewma=0.012 + 0.002 * index,
        requests=count,
        failures=137 if is_ill else 0,
        latency=latency(count, 0.013),
        ejections=4 if is_ill else 0,
        ejected_by=2 if is_ill else 0,
        ejected_for=3.2 if is_ill else 0.0,
        last_error="not connected: Connection refused" if is_ill else "",
        last_error_at=NOW - 4 if is_ill else None,
        pool=Pool(80, 0 if is_ill else 4 + index, 0 if is_ill else 9, 0, 0),
    )


def _slow(index: int, clusters: list[Cluster]) -> SlowRequest:
    total = 2.41 / (1 + index * 0.35)
    nodes = [(each.name, member.node) for each in clusters for member in each.members]
    waits = [
        Wait(cluster, node, total * 0.11, total * (0.6 - 0.1 * rank), "normal", 200)
        for rank, (cluster, node) in enumerate(nodes[index % 3 : index % 3 + 3])
    ]
    waiting = total * 0.62 if waits else 0.0
    return SlowRequest(
        at=NOW - 30 * index,
        worker=index % 4,
        id=f"8f2c01d{index:x}",
        trace="4bf92f3577b34da6a3ce929d0e0e4736" if index % 2 else "",
        method="GET",
        uri=f"/search?keyword=Mozart&page={index}",
        rule="/search",
        handler="webapp.search",
        status=200,
        total=total,
        arrival=total * 0.01,
        queue=total * 0.1,
        running=total * 0.26 if waits else total * 0.88,
        waiting=waiting,
        response=total * 0.01,
        waits=waits,
    )


def _failure(index: int) -> Failure:
    return Failure(
        at=NOW - 60 - 400 * index,
        first=NOW - 9000,
        count=12 >> index,
        worker=1,
        logger="skitai.app",
        message=f"request 8f2c, GET /company/4711: webapp.company raised KeyError: {4711 + index}",
        traceback=TRACE,
        request="8f2c01d7",
    )


def _history(tick: int) -> History:
    steps = range(tick, tick + STEPS)
    wave = [math.sin(step / 9) + math.sin(step / 23) for step in steps]
    rates = [
        round(240 + 60 * each + 7 * (step % 5), 1) for step, each in zip(steps, wave, strict=True)
    ]
    middle = [0.012 + 0.003 * each for each in wave]
    return History(
        every=5.0,
        ends=[NOW - 5.0 * (STEPS - index) for index in range(STEPS)],
        requests=rates,
        errors=[4.0 if 60 < step % 180 < 70 else 0.0 for step in steps],
        p50=list(middle),
        p95=[each * 3 for each in middle],
        p99=[each * (6 if step % 37 else 9) for step, each in zip(steps, middle, strict=True)],
        queue_p95=[0.0004 + 0.0002 * abs(each) for each in wave],
        in_flight=[round(36 + 9 * each) for each in wave],
    )
