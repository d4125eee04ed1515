"""Change the settings of a pipeline. The user sees the difference first."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from apps.agent.tools import expected_sizes, stream_names
from apps.agent.tools.argument_errors import errors_name_arguments
from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.links import pipeline_link
from apps.agent.tools.schedule_facts import facts_of_schedule
from apps.agent.tools.shown_changes import ShownChange, changed_fields_in_words, shown_changes
from apps.agent.tools.update_pipeline.arguments import UpdatePipeline
from apps.orgs.exceptions import Invalid
from apps.orgs.roles import Permission
from apps.pipelines import rendering, services, visibility
from apps.pipelines.history import versions
from apps.pipelines.history.diffs import Change, diff
from apps.pipelines.models import Pipeline
from apps.pipelines.schedules import plans, words
from apps.pipelines.schedules.services import schedule_of
from apps.pipelines.services import PipelineChanges

PLAIN_FIELDS = ("name", "description", "tags", "timeout_seconds", "max_attempts")
COMPARED_FIELDS = (*PLAIN_FIELDS, "domain", "enabled")
SCHEDULE_FIELDS = ("cron", "interval_seconds", "timezone", "overlap")
TIMING_FIELDS = ("schedule", "schedule.cron", "schedule.interval_seconds", "schedule.timezone")
NOTHING_CHANGES = "The pipeline has these values already, so nothing would change."
RUN_NOT_ENDED = "A run has not ended yet. It keeps the settings with which it was started."
NOTHING_SENT = "Send at least one value that changes, such as schedule or timeout_seconds."


def perform(context: ToolContext, arguments: UpdatePipeline) -> Answer:
    changes, pipeline = _update(context, arguments)
    content = {
        "id": str(pipeline.pk),
        "name": pipeline.name,
        "changes": changes,
        "schedule_in_words": _schedule_in_words(context, pipeline),
    }
    summary = f"Changed {changed_fields_in_words(changes)} of the pipeline {pipeline.name}."
    return Answer(content, summary, links=(pipeline_link(pipeline),))


def show(context: ToolContext, arguments: UpdatePipeline) -> Card:
    """Return the card. Raises SizesNeeded once, if the source or its stream changes."""
    found = _find_pipeline(context, arguments)
    schedule_before, stream_before = _schedule_in_words(context, found), _stream_of(found)
    changes, pipeline = _update(context, arguments)
    shown = _shown(context, changes, schedule_before, _schedule_in_words(context, pipeline))
    facts: list[tuple[str, str]] = []
    if "schedule" in arguments.model_fields_set:
        facts = facts_of_schedule(context, pipeline, label="Schedule after the change")
    if pipeline.last_run_status in services.LIVE_STATUSES:
        facts.append(("Note", RUN_NOT_ENDED))
    warnings = () if _stream_of(pipeline) == stream_before else _warnings(context, pipeline)
    return Card(f"Change the pipeline {pipeline.name}", tuple(facts), shown, warnings)


def _stream_of(pipeline: Pipeline) -> tuple[UUID | None, str]:
    source_id = pipeline.source_connector_id  # a text after an update
    return UUID(str(source_id)) if source_id else None, pipeline.stream


def _warnings(context: ToolContext, pipeline: Pipeline) -> tuple[str, ...]:
    """Check that the source has the stream, unless its settings are in the pipeline itself. Raises Invalid."""
    source_id, stream = _stream_of(pipeline)
    definition = versions.current_definition(context.org, pipeline)
    if source_id is None or definition.stream() is None:
        return ()
    sizes = expected_sizes.load(context, [(source_id, stream)])
    return tuple(stream_names.check(context, [("streams.0.stream", source_id, stream)], sizes))


def _find_pipeline(context: ToolContext, arguments: UpdatePipeline) -> Pipeline:
    return visibility.find_pipeline(
        org=context.org, by=context.by, pipeline_id=arguments.pipeline_id
    )


def _shown(
    context: ToolContext,
    changes: list[Change],
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


def _update(context: ToolContext, arguments: UpdatePipeline) -> tuple[list[Change], Pipeline]:
    """Update the pipeline, and return the differences. Raises Invalid if nothing changes."""
    current = _find_pipeline(context, arguments)
    changes = _changes(context, current, arguments)
    if not changes:
        raise Invalid([("", NOTHING_SENT, "required")])
    before = _document(context, current)
    with errors_name_arguments(""):
        pipeline = services.update(
            org=context.org,
            by=context.by,
            pipeline_id=arguments.pipeline_id,
            changes=changes,
            checked=context.checked,
        )
    differences = diff(before, _document(context, pipeline))
    if not differences:
        raise Invalid([("", NOTHING_CHANGES, "unchanged")])
    return differences, pipeline


def _changes(context: ToolContext, current: Pipeline, arguments: UpdatePipeline) -> PipelineChanges:
    sent = arguments.model_dump(mode="json", exclude_unset=True)
    changes = PipelineChanges()
    for name in PLAIN_FIELDS:
        if sent.get(name) is not None:
            changes[name] = sent[name]  # type: ignore[literal-required]
    if "domain_id" in sent:
        changes["domain_id"] = arguments.domain_id
    if "schedule" in sent:
        changes["schedule"] = _schedule(arguments)
    if config := _config(context, current, arguments):
        changes["config"] = config
    return changes


def _schedule(arguments: UpdatePipeline) -> dict[str, object] | None:
    schedule = arguments.schedule
    return schedule.model_dump(exclude_none=True) if schedule else None


def _config(
    context: ToolContext, current: Pipeline, arguments: UpdatePipeline
) -> dict[str, object]:
    """Return the changes of the definition, which are merged into the current definition."""
    config: dict[str, object] = {}
    if arguments.source_connector_id:
        config["source"] = {"connector_id": str(arguments.source_connector_id)}
    if arguments.destination_connector_id:
        config["destination"] = {"connector_id": str(arguments.destination_connector_id)}
    if arguments.streams:
        (changed,) = arguments.streams
        config["streams"] = _streams(context, current, changed.model_dump(exclude_unset=True))
    return config


def _streams(
    context: ToolContext, current: Pipeline, changed: dict[str, object]
) -> list[dict[str, object]]:
    """Return the list of streams with one changed stream. Raises Invalid if it is not clear which one is meant."""
    definition = versions.current_definition(context.org, current)
    names = [stream["stream"] for stream in definition.streams]
    if len(names) == 1 and definition.patterns is None:
        return [changed]
    if changed.get("stream") not in names:
        message = "The pipeline has several streams: name the one to change."
        raise Invalid([("streams.0.stream", message, "unknown")])
    return [changed if name == changed["stream"] else {"stream": name} for name in names]


def _document(context: ToolContext, pipeline: Pipeline) -> Mapping[str, object]:
    """Return what the user can compare: the definition with secrets masked, and the other settings."""
    detail = rendering.render_detail(context.org, context.by, pipeline)
    schedule = detail["schedule"]
    return {
        **{name: detail[name] for name in COMPARED_FIELDS},  # type: ignore[literal-required]
        **detail["config"],
        "schedule": {name: schedule[name] for name in SCHEDULE_FIELDS} if schedule else None,  # type: ignore[literal-required]
    }


def _schedule_in_words(context: ToolContext, pipeline: Pipeline) -> str | None:
    plan = plans.from_row(schedule_of(context.org, pipeline))
    return words.describe(plan) if plan else None


TOOL = Tool(
    name="update_pipeline",
    title="Change a pipeline",
    description=(
        "Change the settings of a pipeline. The user sees the difference and approves, edits or rejects it. Send only"
        " the values that change. To enable or disable a pipeline, use set_pipeline_enabled."
    ),
    level=Level.BUILD,
    effect=Effect.DATABASE,
    permission=Permission.PIPELINES_EDIT,
    arguments=UpdatePipeline,
    perform=perform,
    card=show,
)
