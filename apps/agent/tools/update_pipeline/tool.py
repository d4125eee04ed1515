"""Change the settings of a pipeline. The user sees the difference first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.agent.tools import expected_sizes, stream_names
from apps.agent.tools.argument_errors import errors_name_arguments
from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.changed_streams import StreamChanges, read_changes
from apps.agent.tools.links import pipeline_link
from apps.agent.tools.pipeline_differences import PLAIN_FIELDS, differences, state_of
from apps.agent.tools.schedule_facts import facts_of_schedule
from apps.agent.tools.shown_changes import ShownChange, changed_fields_in_words, shown_changes
from apps.agent.tools.stream_facts import list_on_card, streams_of
from apps.agent.tools.update_pipeline.arguments import UpdatePipeline
from apps.json import JsonObject
from apps.orgs.exceptions import Invalid
from apps.orgs.roles import Permission
from apps.pipelines import services, visibility
from apps.pipelines.history import versions
from apps.pipelines.matching import services as matching
from apps.pipelines.models import Pipeline
from apps.pipelines.schedules import plans, words
from apps.pipelines.schedules.services import schedule_of
from apps.pipelines.services import PipelineChanges

TIMING_FIELDS = (
    *("schedule", "schedule.cron", "schedule.interval_seconds", "schedule.timezone"),
    "schedule.end_date",
)
NOTHING_CHANGES = "The pipeline has these values already, so nothing would change."
RUN_NOT_ENDED = "A run has not ended yet. It keeps the settings with which it was started."
NOTHING_SENT = "Send at least one value that changes, such as schedule or timeout_seconds."


def perform(context: ToolContext, arguments: UpdatePipeline) -> Answer:
    version_before = _find_pipeline(context, arguments).version
    changes, pipeline = _update(context, arguments)
    content = {
        "id": str(pipeline.pk),
        "name": pipeline.name,
        "changes": changes,
        "version": pipeline.version,
        "version_before": version_before,
        "schedule_in_words": _schedule_in_words(context, pipeline),
    }
    summary = f"Changed {changed_fields_in_words(changes)} of the pipeline {pipeline.name}."
    return Answer(content, summary, links=(pipeline_link(pipeline),))


def show(context: ToolContext, arguments: UpdatePipeline) -> Card:
    """Return the card. Raises SizesNeeded once, if the source or its streams change."""
    expected_sizes.store_lists(context)
    found = _find_pipeline(context, arguments)
    version_before = found.version
    before = _Read.of(context, found)
    schedule_before = _schedule_in_words(context, found)
    changes, pipeline = _update(context, arguments)
    after = _Read.of(context, pipeline)
    shown = _shown(context, changes, schedule_before, _schedule_in_words(context, pipeline))
    facts: list[tuple[str, str]] = []
    if "schedule" in arguments.model_fields_set:
        facts = facts_of_schedule(context, pipeline, label="Schedule after the change")
    if pipeline.last_run_status in services.LIVE_STATUSES:
        facts.append(("Note", RUN_NOT_ENDED))
    warnings = _warnings(context, arguments, before, after)
    if pipeline.version != version_before:
        warnings = (*warnings, *stream_names.find_unchecked_fields(context, pipeline))
    lists: tuple[JsonObject, ...] = ()
    if after.patterns != before.patterns:
        lists = (list_on_card(pipeline.name, streams_of(context, pipeline)),)
    return Card(f"Change the pipeline {pipeline.name}", tuple(facts), shown, warnings, lists)


@dataclass(frozen=True, slots=True)
class _Read:
    """What a pipeline reads: its saved source, the streams that it names, and its patterns."""

    source_id: UUID | None
    streams: Sequence[str]
    patterns: object

    @classmethod
    def of(cls, context: ToolContext, pipeline: Pipeline) -> _Read:
        source_id = pipeline.source_connector_id  # a text after an update
        definition = versions.current_definition(context.org, pipeline)
        names = [stream["stream"] for stream in definition.streams]
        return cls(UUID(str(source_id)) if source_id else None, names, definition.patterns)


def _warnings(
    context: ToolContext, arguments: UpdatePipeline, before: _Read, after: _Read
) -> tuple[str, ...]:
    """Check that the source has the new streams, unless its settings are in the pipeline itself. Raises Invalid."""
    source_id = after.source_id
    if source_id is None:
        return ()
    is_other_source = source_id != before.source_id
    is_matched_anew = after.patterns is not None and (
        is_other_source or after.patterns != before.patterns
    )
    listings = expected_sizes.listings(context, [source_id] if is_matched_anew else [])
    new = [name for name in after.streams if is_other_source or name not in before.streams]
    if not new and not listings:
        return ()
    sizes = expected_sizes.load(context, [(source_id, name) for name in new], listings)
    places = {
        each.stream: f"add_streams.{n}.stream" for n, each in enumerate(arguments.add_streams)
    }
    named = [(places.get(name, "streams.0.stream"), source_id, name) for name in new]
    return tuple(stream_names.check(context, named, sizes))


def _find_pipeline(context: ToolContext, arguments: UpdatePipeline) -> Pipeline:
    return visibility.find_pipeline(
        org=context.org, by=context.by, pipeline_id=arguments.pipeline_id
    )


def _shown(
    context: ToolContext,
    changes: Sequence[ShownChange],
    schedule_before: str | None,
    schedule_after: str | None,
) -> tuple[ShownChange, ...]:
    """Return the changes of a card. If the schedule in words changes, its times are one change in words."""
    has_other_times = schedule_before != schedule_after
    others = [c for c in changes if not (has_other_times and c["field"] in TIMING_FIELDS)]
    shown = shown_changes(context, others)
    if has_other_times:
        before, after = schedule_before or words.MANUAL, schedule_after or words.MANUAL
        shown.insert(0, {"field": "schedule", "before": before, "after": after})
    return tuple(shown)


def _update(context: ToolContext, arguments: UpdatePipeline) -> tuple[list[ShownChange], Pipeline]:
    """Update the pipeline, and return the differences. Raises Invalid if nothing changes."""
    current = _find_pipeline(context, arguments)
    of_streams = read_changes(context, current, arguments)
    changes = _changes(arguments, of_streams)
    if not changes and not of_streams.decisions:
        raise Invalid([("", NOTHING_SENT, "required")])
    before = state_of(context, current)
    ids: Any = {"org": context.org, "by": context.by, "pipeline_id": arguments.pipeline_id}
    pipeline = current
    with errors_name_arguments(""):
        if changes:
            pipeline = services.update(**ids, changes=changes, checked=context.checked)
        for decision, streams in of_streams.decisions.items():
            pipeline = matching.decide(**ids, decision=decision, streams=streams)
    found = differences(before, state_of(context, pipeline))
    if not found:
        raise Invalid([("", NOTHING_CHANGES, "unchanged")])
    return found, pipeline


def _changes(arguments: UpdatePipeline, of_streams: StreamChanges) -> PipelineChanges:
    sent = arguments.model_dump(mode="json", exclude_unset=True)
    changes = PipelineChanges()
    for name in PLAIN_FIELDS:
        if sent.get(name) is not None:
            changes[name] = sent[name]  # type: ignore[literal-required]
    if "domain_id" in sent:
        changes["domain_id"] = arguments.domain_id
    if "schedule" in sent:
        changes["schedule"] = _schedule(arguments)
    if config := {**_sides(arguments), **of_streams.config}:
        changes["config"] = config
    return changes


def _schedule(arguments: UpdatePipeline) -> dict[str, object] | None:
    schedule = arguments.schedule
    return schedule.document() if schedule else None


def _sides(arguments: UpdatePipeline) -> dict[str, object]:
    """Return the changes of source and destination, which are merged into the current definition."""
    ids = {
        "source": arguments.source_connector_id,
        "destination": arguments.destination_connector_id,
    }
    return {side: {"connector_id": str(pk)} for side, pk in ids.items() if pk}


def _schedule_in_words(context: ToolContext, pipeline: Pipeline) -> str | None:
    plan = plans.from_row(schedule_of(context.org, pipeline))
    return words.describe(plan) if plan else None


TOOL = Tool(
    name="update_pipeline",
    title="Change a pipeline",
    description=(
        "Change the settings of a pipeline. The user sees the difference and approves, edits or rejects it. Send only"
        " the values that change. To enable or disable a pipeline, use set_pipeline_enabled. Name one of several streams to"
        " change its settings, its rules for fields or its contract."
    ),
    level=Level.BUILD,
    effect=Effect.DATABASE,
    permission=Permission.PIPELINES_EDIT,
    arguments=UpdatePipeline,
    perform=perform,
    card=show,
)
