"""Traces for OpenTelemetry: a span for each request, and one for each thing it waited for.

Imported only if the conf says `otel = yes`, as the SDK costs memory. Runs on the loop; spans are
made when a request is over, from the times that are known by then, so nothing is done while it is
handled. The SDK's own thread exports them in batches; where to, how many and under which name is
said by its environment variables (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER and so on).

A request's span has the name that was passed on to those who were asked for it (`Errand.span`), so
their spans are its children.
"""

from __future__ import annotations

import threading
import time

from opentelemetry import trace as api
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode

from skitai.errand import parent_of
from skitai.request import Request

from .document import SlowRequest, Wait

FLUSH = 2.0  # seconds that a worker which leaves waits for the last export


def export(service: str, version: str) -> Export:
    """To whom the environment says."""
    return Export(service, version, BatchSpanProcessor(OTLPSpanExporter()))


class Export:
    """Of one worker. service: the name if OTEL_SERVICE_NAME says no other."""

    def __init__(self, service: str, version: str, processor: SpanProcessor) -> None:
        about = {"service.name": service, "service.version": version}
        self._ids = _Ids()
        self._processor = processor
        provider = TracerProvider(
            # What the environment says goes before what we say.
            resource=Resource.create(about).merge(OTELResourceDetector().detect()),
            id_generator=self._ids,
            shutdown_on_exit=False,  # a worker leaves by os._exit
        )
        provider.add_span_processor(processor)
        self._tracer = provider.get_tracer("skitai", version)

    def note(self, request: Request, told: SlowRequest) -> None:
        """A request is over."""
        end = time.time_ns()
        start = end - int(told.total * 1e9)
        errand = request.errand
        if errand is not None and errand.span:
            self._ids.next_span = int(errand.span, 16)
            self._ids.next_trace = int(errand.trace, 16)
        span = self._tracer.start_span(
            f"{told.method} {told.rule}" if told.rule else told.method,
            _parent(request),
            SpanKind.SERVER,
            {
                "http.request.method": told.method,
                "http.response.status_code": told.status,
                "http.route": told.rule,
                "url.path": told.uri.partition("?")[0],
                "client.address": request.caller.address,
                "skitai.request_id": told.id,
                "skitai.handler": told.handler,
                "skitai.queue_seconds": told.queue,
                "skitai.running_seconds": told.running,
                "skitai.waiting_seconds": told.waiting,
            },
            start_time=start,
        )
        self._ids.next_trace = 0  # not asked for if the trace came with the request
        if told.status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        for wait in told.waits:
            self._note_wait(span, wait, start)
        span.end(end)

    def close(self) -> None:
        """Export what is left, but do not wait for ever for who does not take it."""
        flushing = threading.Thread(target=self._processor.force_flush, daemon=True)
        flushing.start()
        flushing.join(FLUSH)

    def _note_wait(self, parent: Span, wait: Wait, start: int) -> None:
        began = start + int(wait.began * 1e9)
        span = self._tracer.start_span(
            f"@{wait.cluster}" if wait.cluster else wait.node,
            api.set_span_in_context(parent),
            SpanKind.CLIENT,
            {
                "server.address": wait.node,
                "skitai.cluster": wait.cluster,
                "skitai.status": wait.status,
                "skitai.code": wait.code,
            },
            start_time=began,
        )
        if wait.status not in ("normal", ""):
            span.set_status(Status(StatusCode.ERROR, wait.status))
        span.end(began + int(wait.seconds * 1e9))


class _Ids(IdGenerator):
    """Random ones, unless others have been told already what the next one is."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()
        self.next_span = self.next_trace = 0

    def generate_span_id(self) -> int:
        told, self.next_span = self.next_span, 0
        return told or self._random.generate_span_id()

    def generate_trace_id(self) -> int:
        told, self.next_trace = self.next_trace, 0
        return told or self._random.generate_trace_id()


def _parent(request: Request) -> Context:
    """Whoever has sent the request; an empty context, which is no parent, if it does not say."""
    known = parent_of(request)
    if known is None:
        return Context()
    trace, span, flags = known
    context = SpanContext(int(trace, 16), int(span, 16), True, api.TraceFlags(flags))
    return api.set_span_in_context(NonRecordingSpan(context), Context())
