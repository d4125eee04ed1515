"""Show one run: its state, progress, attempts, failure and the next step."""

from __future__ import annotations

from apps.agent.tools.base import Answer, Effect, Level, Tool, ToolContext
from apps.agent.tools.counted_words import counted
from apps.agent.tools.links import run_link, short_id
from apps.agent.tools.record_values import hide_position, hide_values
from apps.agent.tools.show_run.arguments import ShowRun
from apps.orgs.roles import Permission
from apps.runs import queries, snapshots, visibility
from apps.runs.snapshots import AttemptSnapshot, FailureSnapshot, StreamSnapshot

MAX_ATTEMPTS = 10  # the newest ones are answered
MAX_EVIDENCE = 10  # lines
MAX_STREAMS = 25  # in one answer
STREAM_FIELDS = (
    "stream", "table", "status", "read", "written", "rejected", "skipped", "total", "duration_seconds",
)  # fmt: skip
FOREIGN_FIELDS = frozenset(
    {
        "pipeline",
        "triggered_by",
        "waiting_reason",
        "failure",
        "attempts",
        "failed_streams",
        "streams",
    }
)


def perform(context: ToolContext, arguments: ShowRun) -> Answer:
    visibility.find_run(org=context.org, by=context.by, run_id=arguments.run_id)
    return _streams(context, arguments) if arguments.part == "streams" else _run(context, arguments)


def _run(context: ToolContext, arguments: ShowRun) -> Answer:
    run = snapshots.run(org_id=context.org.pk, run_id=arguments.run_id)
    content = {
        **run,
        "label": short_id(run["id"]),
        "failure": _failure(context, run["failure"]),
        "attempts": [_attempt(context, attempt) for attempt in run["attempts"][-MAX_ATTEMPTS:]],
        "failed_streams": [
            _stream(context, stream) for stream in queries.failed_streams(context.org, run["id"])
        ],
    }
    summary = (
        f"Status of the run {short_id(run['id'])} of {run['pipeline']['name']}: {run['status']}."
    )
    link = run_link(run["id"])
    return Answer(content, summary, links=(link,), foreign_fields=FOREIGN_FIELDS)


def _streams(context: ToolContext, arguments: ShowRun) -> Answer:
    found = queries.streams(
        org=context.org,
        by=context.by,
        run_id=arguments.run_id,
        status=arguments.status,
        offset=arguments.offset,
        limit=MAX_STREAMS,
    )
    content = {
        "count": found["count"],
        "next_offset": found["next_offset"],
        "streams": [_stream(context, stream) for stream in found["results"]],
        "moments": found["moments"],
    }
    summary = f"Found {counted(found['count'], 'stream')} of the run {short_id(arguments.run_id)}."
    link = run_link(arguments.run_id)
    return Answer(content, summary, links=(link,), foreign_fields=FOREIGN_FIELDS)


def _stream(context: ToolContext, stream: StreamSnapshot) -> dict[str, object]:
    """Return a stream of a run. Its cursors are values of records."""
    return {
        **{name: stream[name] for name in STREAM_FIELDS},  # type: ignore[literal-required]
        "failure": _failure(context, stream["failure"]),
        "cursor_before": hide_position(context, stream["cursor_before"]),
        "cursor_after": hide_position(context, stream["cursor_after"]),
    }


def _attempt(context: ToolContext, attempt: AttemptSnapshot) -> dict[str, object]:
    return {
        "number": attempt["number"],
        "status": attempt["status"],
        "started_at": attempt["started_at"],
        "finished_at": attempt["finished_at"],
        "records_read": attempt["records_read"],
        "records_written": attempt["records_written"],
        "failure": _failure(context, attempt["failure"]),
    }


def _failure(context: ToolContext, failure: FailureSnapshot | None) -> dict[str, object] | None:
    if failure is None:
        return None
    return {
        **failure,
        "message": hide_values(context, failure["message"]),
        "evidence": [hide_values(context, line) for line in failure["evidence"][:MAX_EVIDENCE]],
    }


TOOL = Tool(
    name="show_run",
    title="Show a run",
    description=(
        "Show the state, progress, attempts and failure of a run, with the next step, and its streams: which of them failed"
        " and why. For why a pipeline is late,"
        " failing, waiting or empty, use explain_pipeline."
    ),
    level=Level.READ,
    effect=Effect.NONE,
    permission=Permission.READ,
    arguments=ShowRun,
    perform=perform,
)
