"""The differences between a pipeline before and after a change, as a card shows them.

The settings of several streams are compared by the names of the streams, because their numbers change when one is added
or removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.agent.tools.base import ToolContext
from apps.agent.tools.mode_words import describe_sync_mode, describe_write_mode
from apps.agent.tools.shown_changes import ADDED, REMOVED, ShownChange
from apps.agent.tools.stream_facts import streams_of
from apps.pipelines import rendering
from apps.pipelines.definition import StreamDocument
from apps.pipelines.history.diffs import diff
from apps.pipelines.models import Pipeline

MAX_LINES = 100  # streams in one change
PLAIN_FIELDS = ("name", "description", "tags", "timeout_seconds", "max_attempts")
COMPARED_FIELDS = (*PLAIN_FIELDS, "domain", "enabled")
TIMING = ("cron", "interval_seconds", "timezone", "overlap")
# What else a schedule has, with the defaults.
OPTIONS: dict[str, Any] = {
    "misfire": "run_once",
    "jitter_seconds": 0,
    "blackouts": [],
    "end_date": None,
}


@dataclass(frozen=True, slots=True)
class PipelineState:
    """A pipeline at one moment: its settings with secrets masked, and all streams that it reads."""

    document: Mapping[str, Any]
    streams: Sequence[StreamDocument]

    @property
    def named(self) -> Sequence[StreamDocument]:
        named: list[StreamDocument] = self.document["streams"]
        return named

    @property
    def has_one_stream(self) -> bool:
        return len(self.named) == 1 and "patterns" not in self.document


def state_of(context: ToolContext, pipeline: Pipeline) -> PipelineState:
    detail = rendering.render_detail(context.org, context.by, pipeline)
    document = {
        **{name: detail[name] for name in COMPARED_FIELDS},  # type: ignore[literal-required]
        **detail["config"],
        "schedule": _schedule(detail["schedule"]),
    }
    return PipelineState(document, streams_of(context, pipeline))


def _schedule(schedule: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the values of the schedule as a request has them. Without one, only the options have values."""
    if schedule is None:
        return {**dict.fromkeys(TIMING), **OPTIONS}
    last_day = str(schedule["end_date"]) if schedule["end_date"] else None
    return {**{name: schedule[name] for name in (*TIMING, *OPTIONS)}, "end_date": last_day}


def differences(before: PipelineState, after: PipelineState) -> list[ShownChange]:
    """Return every setting that differs. A change of one of several streams has the name of the stream."""
    if before.has_one_stream and after.has_one_stream:
        return _plain(before.document, after.document)
    without_streams = [{**state.document, "streams": None} for state in (before, after)]
    return [*_plain(*without_streams), *_added_and_removed(before, after), *_changed(before, after)]


def _plain(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[ShownChange]:
    return [dict(change) for change in diff(before, after)]


def _added_and_removed(before: PipelineState, after: PipelineState) -> Iterator[ShownChange]:
    names_before = {stream["stream"] for stream in before.streams}
    names_after = {stream["stream"] for stream in after.streams}
    added = [_line(stream) for stream in after.streams if stream["stream"] not in names_before]
    removed = [_line(stream) for stream in before.streams if stream["stream"] not in names_after]
    if added:
        yield {"field": ADDED, "before": None, "after": _bounded(added)}
    if removed:
        yield {"field": REMOVED, "before": _bounded(removed), "after": None}


def _line(stream: StreamDocument) -> str:
    modes = f"{describe_sync_mode(stream)}, {describe_write_mode(stream)}"
    return f"{stream['stream']} to {stream['table']} ({modes})"


def _bounded(lines: Sequence[str]) -> list[str]:
    more = len(lines) - MAX_LINES
    return [*lines[:MAX_LINES], *([f"and {more:,} more"] if more > 0 else [])]


def _changed(before: PipelineState, after: PipelineState) -> Iterator[ShownChange]:
    """Yield the changed settings of the streams that the pipeline names after the change."""
    earlier = {stream["stream"]: stream for stream in before.streams}
    for number, stream in enumerate(after.named):
        name = stream["stream"]
        for change in diff(earlier.get(name, stream), stream):
            field = f"streams.{number}.{change['field']}"
            yield {**change, "field": field, "stream": name}
