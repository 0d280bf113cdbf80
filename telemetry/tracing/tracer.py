"""Spans, and the W3C trace context of requests. The only importer of OpenTelemetry."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from userline import __version__
from userline.telemetry.metrics.recorder import cut

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

_MOST_LINKS: Final = 128
_PROPAGATOR: Final = TraceContextTextMapPropagator()


class Tracer:
    """Makes spans and exports them in the background."""

    def __init__(self, exporter: SpanExporter, *, app_id: str) -> None:
        resource = Resource.create({"service.name": "userline", "service.version": __version__, "userline.app": app_id})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("userline", __version__)

    def close(self) -> None:
        """Export what is left, for some seconds at most."""
        self._provider.force_flush(3000)
        self._provider.shutdown()

    @contextmanager
    def request(self, method: str, path: str, headers: Mapping[str, str]) -> Iterator[Span]:
        """Trace a request or socket, as a part of the trace that its ``traceparent`` header names."""
        attributes = {"http.request.method": method, "url.path": path}
        context = _PROPAGATOR.extract(headers)
        with self._tracer.start_as_current_span(
            f"{method} {path}", context, kind=SpanKind.SERVER, attributes=attributes
        ) as span:
            yield span

    @contextmanager
    def operation(self, kind: str, name: str | None) -> Iterator[None]:
        """Trace the execution of an operation."""
        attributes = {"graphql.operation.type": kind}
        if name is not None:
            attributes["graphql.operation.name"] = name = cut(name)
        with self._tracer.start_as_current_span(f"{kind} {name}" if name else kind, attributes=attributes):
            yield

    @contextmanager
    def store(self, call: str, attributes: Mapping[str, Any], askers: Sequence[SpanContext] = ()) -> Iterator[None]:
        """Trace a call of the store. It is a part of the first asker's trace, and linked to the others'."""
        context = trace.set_span_in_context(trace.NonRecordingSpan(askers[0])) if askers else None
        links = [Link(asker) for asker in askers[1 : 1 + _MOST_LINKS]]
        with self._tracer.start_as_current_span(
            f"store {call}", context, kind=SpanKind.CLIENT, attributes=dict(attributes), links=links
        ):
            yield


def current_span() -> SpanContext | None:
    """Return what tells the current span, if there is one that is recorded."""
    context = trace.get_current_span().get_span_context()
    return context if context.is_valid else None


def mark(span: Span, status: int) -> str:
    """Take note of the answer's status, and return the value of its ``traceresponse`` header.

    Source: https://w3c.github.io/trace-context/#traceresponse-header
    """
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_status(StatusCode.ERROR)
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
