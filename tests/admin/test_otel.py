"""Traces for OpenTelemetry: what its own exporter is given, and what reaches a collector."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import cast

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from operator_session import Home
from waits import PATIENCE

from skitai.caller import Caller
from skitai.engine import Engine
from skitai.errand import Errand
from skitai.request import Request
from skitaid.workers.admin.document import SlowRequest, Wait
from skitaid.workers.admin.otel import Export

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

APP = """
from skitai.server import ssgi

app = ssgi.Application(__name__)


@app.route("/ask")
def ask(was):
    return was.lb("back/seen", method="GET").getwait(timeout=2).data


@app.route("/seen")
def seen(was):
    return was.request.get_header("traceparent", "none")
"""


def request(traceparent: str = "") -> Request:
    fields = [(b"traceparent", traceparent.encode())] if traceparent else []
    return Request("GET", b"/search?q=1", fields, b"", "1.1", Caller("192.0.2.7"))


def told(status: int = 200, waits: tuple[Wait, ...] = ()) -> SlowRequest:
    return SlowRequest(
        at=0.0,
        worker=0,
        id="r-1",
        trace="",
        method="GET",
        uri="/search?q=secret",
        rule="/search",
        handler="webapp.search",
        status=status,
        total=2.0,
        arrival=0.0,
        queue=0.5,
        running=0.5,
        waiting=1.0,
        response=0.0,
        waits=list(waits),
    )


def exported(asked: Request, what: SlowRequest) -> list[ReadableSpan]:
    """In the order in which they ended."""
    memory = InMemorySpanExporter()
    Export("web", "1.0", SimpleSpanProcessor(memory)).note(asked, what)
    return list(memory.get_finished_spans())


def test_a_request_is_a_span_with_its_times() -> None:
    """And without its query, which may hold what is secret."""
    (span,) = exported(request(), told())

    assert (span.name, span.kind) == ("GET /search", SpanKind.SERVER)
    assert span.start_time is not None and span.end_time is not None
    assert (span.end_time - span.start_time) / 1e9 == pytest.approx(2.0)
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["url.path"] == "/search"
    assert span.attributes["skitai.queue_seconds"] == 0.5
    assert span.resource.attributes["service.name"] == "web"
    assert span.parent is None
    assert "secret" not in span.to_json()


def test_what_it_waited_for_are_its_children() -> None:
    """With their own times; those that failed are marked."""
    waits = (
        Wait("back", "s1:5000", 0.5, 1.0, "normal", 200),
        Wait("", "example.com:443", 0.6, 0.25, "timeout", 0),
    )
    first, second, parent = exported(request(), told(200, waits))

    assert [span.name for span in (first, second)] == ["@back", "example.com:443"]
    for span in (first, second):
        assert span.kind is SpanKind.CLIENT
        assert span.parent is not None
        assert span.parent.span_id == parent.context.span_id
        assert span.context.trace_id == parent.context.trace_id
    assert first.start_time is not None and parent.start_time is not None
    assert (first.start_time - parent.start_time) / 1e9 == pytest.approx(0.5)
    assert second.end_time is not None and second.start_time is not None
    assert (second.end_time - second.start_time) / 1e9 == pytest.approx(0.25)
    assert (first.status.status_code, second.status.status_code) == (
        StatusCode.UNSET,
        StatusCode.ERROR,
    )


def test_it_goes_on_with_the_trace_that_came() -> None:
    """As a child of whoever has sent the request."""
    (span,) = exported(request(f"00-{TRACE}-{PARENT}-01"), told())

    assert f"{span.context.trace_id:032x}" == TRACE
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == PARENT


def test_a_trace_that_came_is_not_that_of_the_next_request() -> None:
    """What was told to others under a trace is no name for what comes later."""
    memory = InMemorySpanExporter()
    export = Export("web", "1.0", SimpleSpanProcessor(memory))
    asked = request(f"00-{TRACE}-{PARENT}-01")
    errand = Errand(cast(Engine, None), asked, 0.0)  # which asks nobody
    export.note(asked, told())
    export.note(request(), told())
    first, second = memory.get_finished_spans()

    assert f"{first.context.span_id:016x}" == errand.span.decode()
    assert f"{first.context.trace_id:032x}" == TRACE
    assert f"{second.context.trace_id:032x}" != TRACE


def test_a_trace_that_is_not_sampled_is_not_exported() -> None:
    """Its flags say so; what is no traceparent begins a new one."""
    assert exported(request(f"00-{TRACE}-{PARENT}-00"), told()) == []
    (span,) = exported(request("00-nonsense"), told())
    assert span.parent is None


def test_a_failure_is_one() -> None:
    """Of the server; a 404 is the client's."""
    (failed,) = exported(request(), told(503))
    (missed,) = exported(request(), told(404))

    assert failed.status.status_code is StatusCode.ERROR
    assert missed.status.status_code is StatusCode.UNSET


class Collector(ThreadingHTTPServer):
    """Takes OTLP over HTTP."""

    def __init__(self) -> None:
        self.came: Queue[bytes] = Queue()
        super().__init__(("127.0.0.1", 0), _Taker)


class _Taker(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Collector)
        self.server.came.put(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """To nobody."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.serve_forever)
    thread.start()
    yield collector
    collector.shutdown()
    thread.join()
    collector.server_close()


def test_a_trace_reaches_a_collector(home: Home, collector: Collector) -> None:
    """Of a request that begins it; who is asked for it is told the same names."""
    port = home.write_conf("web")
    home.env |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    server = home.serve(
        "web",
        apps={"webapp.py": APP},
        port=port,
        more="otel = yes",
        sections=f"[@back]\nmembers = 127.0.0.1:{port}\n",
    )
    version, trace, span, flags = server.get("/ask").text.split("-")
    assert (version, flags) == ("00", "01")

    spans = {}
    while len(spans) < 3:
        document = ExportTraceServiceRequest.FromString(collector.came.get(timeout=PATIENCE))
        for resource in document.resource_spans:
            names = {each.key: each.value.string_value for each in resource.resource.attributes}
            assert names["service.name"] == "web"
            spans |= {each.name: each for scope in resource.scope_spans for each in scope.spans}

    assert {each.trace_id.hex() for each in spans.values()} == {trace}
    assert spans["GET /ask"].span_id.hex() == span
    assert spans["GET /ask"].parent_span_id == b""
    assert spans["@back"].parent_span_id.hex() == span
    assert spans["GET /seen"].parent_span_id.hex() == span
    assert json.dumps(server.log()).count("Traceback") == 0
