"""Traces: a span for each request, for each attempt at a run, and for each of its streams.

The id of a run is also the id of its trace. So whoever has the id of a run, from a page or a log line, finds its trace,
and all attempts are in one trace, whichever workers made them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

Value = str | int | float | bool
_tracer: Any = None
_next_trace_id: ContextVar[int | None] = ContextVar("next_trace_id", default=None)


class Span(Protocol):
    """What a block says about its span."""

    def rename(self, name: str) -> None: ...

    def describe(self, **attributes: Value) -> None:
        """Add attributes. Two underscores in a name stand for a full stop."""

    def fail(self, message: str) -> None:
        """Mark the span as failed."""


class _NoSpan:
    def rename(self, name: str) -> None:
        return None

    def describe(self, **attributes: Value) -> None:
        return None

    def fail(self, message: str) -> None:
        return None


class _SentSpan:
    def __init__(self, span: Any) -> None:
        self._span = span

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def describe(self, **attributes: Value) -> None:
        self._span.set_attributes(_dotted(attributes))

    def fail(self, message: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        self._span.set_status(Status(StatusCode.ERROR, message))


NO_SPAN: Span = _NoSpan()


def start(url: str, resource: Any, timeout: float) -> Any:
    """Send the spans of this process to `url`. Returns the provider, whose `shutdown` sends the last ones."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class TraceIds(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            return _next_trace_id.get() or super().generate_trace_id()

    global _tracer
    provider = TracerProvider(resource=resource, id_generator=TraceIds(), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=url, timeout=timeout)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    # It is not made the provider of the process, so that libraries cannot add spans with prompts or queries.
    _tracer = provider.get_tracer("drover")
    return provider


def stop() -> None:
    global _tracer
    _tracer = None


@contextmanager
def span(
    name: str, *, trace_id: UUID | None = None, is_request: bool = False, **attributes: Value
) -> Iterator[Span]:
    """Measure the block. With `trace_id` it begins the trace of this id. An exception marks the span as failed."""
    if _tracer is None:
        yield NO_SPAN
        return
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanKind

    kind = SpanKind.SERVER if is_request else SpanKind.INTERNAL
    with _trace(trace_id):
        started = _tracer.start_as_current_span(
            name,
            context=Context() if trace_id or is_request else None,
            kind=kind,
            attributes=_dotted(attributes),
            # The texts of exceptions can contain values of users. The log has them.
            record_exception=False,
            set_status_on_exception=False,
        )
        with started as current:
            try:
                yield _SentSpan(current)
            except Exception as error:
                _SentSpan(current).fail(type(error).__name__)
                raise


def add_span(
    name: str,
    *,
    started_at: datetime,
    ended_at: datetime | None,
    failure: str = "",
    **attributes: Value,
) -> None:
    """Add a span inside the current one for something that has been measured already."""
    if _tracer is None:
        return
    ended = time.time_ns() if ended_at is None else _nanoseconds(ended_at)
    added = _tracer.start_span(
        name, attributes=_dotted(attributes), start_time=_nanoseconds(started_at)
    )
    if failure:
        _SentSpan(added).fail(failure)
    added.end(ended)


def current_ids() -> dict[str, str]:
    """Return `trace_id` and `span_id` of the current span for log lines, or nothing."""
    if _tracer is None:
        return {}
    from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

    context = get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {
        "trace_id": format_trace_id(context.trace_id),
        "span_id": format_span_id(context.span_id),
    }


@contextmanager
def _set_trace_id(trace_id: UUID) -> Iterator[None]:
    token = _next_trace_id.set(trace_id.int)
    try:
        yield
    finally:
        _next_trace_id.reset(token)


def _trace(trace_id: UUID | None) -> Any:
    return _set_trace_id(trace_id) if trace_id else nullcontext()


def _dotted(attributes: Mapping[str, Value]) -> dict[str, Value]:
    return {name.replace("__", "."): value for name, value in attributes.items()}


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1000
