"""What became of the last runs: their failure, or why they wrote nothing."""

from __future__ import annotations

from collections.abc import Iterator

from apps.engine.failures import USER_CODE_PREFIXES
from apps.pipelines.history import versions
from apps.runs import queries
from apps.runs.explaining.findings import Evidence, PipelineFacts, cause_text, run_path
from apps.runs.models import Status
from apps.runs.snapshots import RunSnapshot

MAX_LINES = 5  # evidence lines of a failure
MAX_STREAMS = 5  # streams that failed


def result_evidence(facts: PipelineFacts) -> Iterator[Evidence]:
    if not facts.runs:
        yield Evidence("The pipeline has never run.", facts.path)
    if facts.ended_runs:
        yield from _last_run_evidence(facts, facts.ended_runs[0])


def _last_run_evidence(facts: PipelineFacts, run: RunSnapshot) -> Iterator[Evidence]:
    ended = facts.time_text(run["finished_at"])
    match run["status"]:
        case Status.SUCCEEDED:
            yield from _success_evidence(facts, run)
        case Status.CANCELLED:
            yield Evidence(f"The last run was cancelled at {ended}.", run_path(run))
        case Status.FAILED:
            yield from _failure_evidence(facts, run)


def _success_evidence(facts: PipelineFacts, run: RunSnapshot) -> Iterator[Evidence]:
    progress = run["progress"]
    text = (
        f"The last run succeeded at {facts.time_text(run['finished_at'])}. It read {progress['read']:,} records, wrote"
        f" {progress['written']:,}, rejected {progress['rejected']:,} and skipped {progress['skipped']:,}."
    )
    yield Evidence(text, run_path(run))
    if progress["read"] == 0:
        yield _nothing_read_evidence(facts)


def _nothing_read_evidence(facts: PipelineFacts) -> Evidence:
    count = facts.pipeline.stream_count
    stream = versions.current_definition(facts.org, facts.pipeline).stream()
    if stream is None or count > 1:
        text = f"The source returned no new records for any of the {count:,} streams."
    elif stream["sync_mode"] == "incremental":
        cursor = stream["cursor_field"] or "the source's cursor"
        text = f"The stream is read incrementally: a run reads only records with a larger {cursor} than before."
    else:
        text = f"The source returned no records for the stream {stream['stream']}."
    return Evidence(text, facts.path)


def _failure_evidence(facts: PipelineFacts, run: RunSnapshot) -> Iterator[Evidence]:
    failure, path = run["failure"], run_path(run)
    if (first := facts.first_failure) is not None and facts.failure_count > 1:
        since = "Since the last successful run" if facts.last_success else "So far"
        text = f"{since}, {facts.failure_count} runs failed. The first of them was created at {facts.time_text(first['created_at'])}."
        yield Evidence(text, run_path(first))
    if failure is None:
        yield Evidence(f"The last run failed at {facts.time_text(run['finished_at'])}.", path)
        return
    by_code = failure["message"].startswith(USER_CODE_PREFIXES)
    text = (
        f"The last run failed at {facts.time_text(run['finished_at'])} after {run['attempt']} of {run['max_attempts']}"
        f" attempts {cause_text(failure['class'])}"
    )
    yield Evidence(text, path, quote=failure["message"])
    yield from _failed_streams(facts, run)
    lines = [line for line in failure["evidence"][:MAX_LINES] if line not in failure["message"]]
    for line in lines:
        yield Evidence("Evidence of the failure", path, quote=line, by_code=by_code)
    yield Evidence(f"Advice: {failure['next_step']}", path)


def _failed_streams(facts: PipelineFacts, run: RunSnapshot) -> Iterator[Evidence]:
    """Yield how many of several streams failed, and why the first of them failed."""
    if run["streams_total"] <= 1 or not run["streams_failed"]:
        return
    yield Evidence(
        f"{run['streams_failed']:,} of {run['streams_total']:,} streams failed. {run['streams_succeeded']:,} were"
        " published and stay. A retry reads only the others.",
        run_path(run),
    )
    for stream in queries.failed_streams(facts.org, run["id"])[:MAX_STREAMS]:
        if (failure := stream["failure"]) is not None:
            yield Evidence(
                f"The stream {stream['stream']} failed {cause_text(failure['class'])}",
                run_path(run),
                quote=failure["message"],
                by_code=failure["message"].startswith(USER_CODE_PREFIXES),
            )
