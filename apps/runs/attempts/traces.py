"""The spans of attempts at runs and of their streams. The trace has the id of the run."""

from __future__ import annotations

from contextlib import AbstractContextManager

from apps.engine import Failed, Outcome
from apps.runs.attempts.stream_tracker import StreamTracker
from apps.runs.claiming.leases import Claim
from apps.telemetry import tracing


def attempt_span(claim: Claim) -> AbstractContextManager[tracing.Span]:
    return tracing.span(
        "attempt",
        trace_id=claim.run_id,
        drover__organization_id=str(claim.org_id),
        drover__pipeline_id=str(claim.pipeline_id),
        drover__run_id=str(claim.run_id),
        drover__attempt=claim.attempt,
    )


def ending(claim: Claim, outcome: Outcome) -> dict[str, str | None]:
    """Return what the server's log says about the end of an attempt, without messages of failures."""
    return {
        "organization": str(claim.org_id),
        "pipeline": str(claim.pipeline_id),
        "failure": outcome.failure_class if isinstance(outcome, Failed) else None,
    }


def describe(span: tracing.Span, outcome: Outcome, streams: StreamTracker) -> None:
    """Add the counts, the class of a failure, and a span for each stream that has ended in the attempt.

    Messages of failures can contain values of users, so they are only in the log of the run.
    """
    if isinstance(outcome, Failed):
        span.fail(outcome.failure_class)
    if progress := streams.progress:
        span.describe(
            drover__records_read=progress.read,
            drover__records_written=progress.written,
            drover__records_rejected=progress.rejected,
            drover__bytes=progress.bytes,
        )
    for row in streams.ended():
        if row.started_at is not None:
            tracing.add_span(
                "stream",
                started_at=row.started_at,
                ended_at=row.finished_at,
                failure=row.failure_class,
                drover__stream=row.name,
                drover__records_read=row.records_read,
                drover__records_written=row.records_written,
            )
