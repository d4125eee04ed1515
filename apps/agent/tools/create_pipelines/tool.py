"""Create pipelines, disabled. The user approves the complete proposal first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from apps.agent.tools import expected_sizes, stream_names
from apps.agent.tools.argument_errors import errors_name_arguments
from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.create_pipelines.arguments import CreatePipelines, ProposedPipeline
from apps.agent.tools.expected_sizes import Sizes
from apps.agent.tools.links import connector_label, pipeline_link
from apps.agent.tools.mode_words import describe_sync_mode, describe_write_mode
from apps.agent.tools.schedule_facts import facts_of_schedule
from apps.agent.tools.stream_facts import (
    facts_of_rules,
    facts_of_streams,
    list_on_card,
    streams_of,
)
from apps.agent.tools.stream_names import NamedStream
from apps.connectors import services as connectors
from apps.connectors.models import Connector
from apps.json import JsonObject
from apps.orgs.roles import Permission
from apps.pipelines import services, visibility
from apps.pipelines.definition import StreamDocument
from apps.pipelines.history import versions
from apps.pipelines.models import Pipeline


def perform(context: ToolContext, arguments: CreatePipelines) -> Answer:
    created = _create_all(context, arguments)
    names = ", ".join(pipeline.name for pipeline in created)
    return Answer(
        {"pipelines": [{"id": str(p.pk), "name": p.name, "enabled": False} for p in created]},
        f"Created {names}. It is disabled until you enable it."
        if len(created) == 1
        else f"Created {len(created)} pipelines: {names}. They are disabled until you enable them.",
        links=tuple(pipeline_link(pipeline) for pipeline in created),
    )


def show(context: ToolContext, arguments: CreatePipelines) -> Card:
    """Return the card. Raises SizesNeeded once, after everything else was checked."""
    expected_sizes.store_lists(context)
    facts: list[tuple[str, str]] = []
    warnings: dict[str, None] = {}  # each once, in this order
    lists: list[JsonObject] = []
    created = _create_all(context, arguments)
    read = [streams_of(context, pipeline) for pipeline in created]
    sources = [each.source_connector_id for each in arguments.pipelines if each.patterns]
    listings = expected_sizes.listings(context, sources)
    sizes = expected_sizes.load(context, _all_streams(arguments, read), listings)
    warnings |= dict.fromkeys(stream_names.check(context, _named_streams(arguments), sizes))
    warnings |= dict.fromkeys(_pattern_warnings(context, arguments, read))
    for proposal, pipeline, streams in zip(arguments.pipelines, created, read, strict=True):
        facts += _facts(context, proposal, pipeline, streams, sizes)
        if len(streams) > 1 or proposal.patterns:
            lists.append(list_on_card(pipeline.name, streams))
        warnings |= dict.fromkeys(_warnings(context, proposal))
        warnings |= dict.fromkeys(stream_names.find_unchecked_fields(context, pipeline))
    count = len(arguments.pipelines)
    title = f"Create {count} pipelines" if count > 1 else "Create a pipeline"
    shown = tuple(expected_sizes.without_repeated_reasons(facts))
    return Card(
        title, facts=shown, warnings=tuple(warnings), streams=tuple(filter(_has_rows, lists))
    )


def _has_rows(listed: JsonObject) -> bool:
    return bool(listed["rows"])


def _all_streams(
    arguments: CreatePipelines, read: Sequence[Sequence[StreamDocument]]
) -> list[tuple[UUID, str]]:
    return [
        (proposal.source_connector_id, stream["stream"])
        for proposal, streams in zip(arguments.pipelines, read, strict=True)
        for stream in streams
    ]


def _named_streams(arguments: CreatePipelines) -> list[NamedStream]:
    return [
        (f"pipelines.{position}.streams.{number}.stream", p.source_connector_id, stream.stream)
        for position, p in enumerate(arguments.pipelines)
        for number, stream in enumerate(p.streams)
    ]


def _pattern_warnings(
    context: ToolContext, arguments: CreatePipelines, read: Sequence[Sequence[StreamDocument]]
) -> Iterator[str]:
    """Yield a warning for patterns that choose nothing yet. Raises Invalid if they will choose nothing."""
    for position, (proposal, streams) in enumerate(zip(arguments.pipelines, read, strict=True)):
        if proposal.patterns and len(streams) == len(proposal.streams):
            argument = f"pipelines.{position}.patterns.match"
            yield stream_names.check_patterns(context, argument, proposal.source_connector_id)


def _create_all(context: ToolContext, arguments: CreatePipelines) -> list[Pipeline]:
    """Create the pipelines. If it raises Invalid, the errors name the arguments."""
    created = []
    for position, proposal in enumerate(arguments.pipelines):
        with errors_name_arguments(f"pipelines.{position}."):
            created.append(_create(context, proposal))
    return created


def _create(context: ToolContext, proposal: ProposedPipeline) -> Pipeline:
    schedule = proposal.schedule
    return services.create(
        org=context.org,
        by=context.by,
        name=proposal.name,
        description=proposal.description,
        enabled=False,
        tags=proposal.tags,
        domain_id=proposal.domain_id,
        schedule=schedule.document() if schedule else None,
        config=proposal.definition(),
        may_rename=[stream.stream for stream in proposal.streams if stream.table is None],
    )


def _facts(
    context: ToolContext,
    proposal: ProposedPipeline,
    created: Pipeline,
    streams: Sequence[StreamDocument],
    sizes: Sizes,
) -> list[tuple[str, str]]:
    """Return what the pipeline will be, from the pipeline that the dry run has created."""
    source_id, destination_id = proposal.source_connector_id, proposal.destination_connector_id
    definition = versions.current_definition(context.org, created)
    is_only = proposal.patterns is None and len(streams) == 1
    facts = [
        ("Name", created.name),
        ("Source", connector_label(_find_connector(context, source_id))),
        *(_reading(streams[0]) if is_only else facts_of_streams(definition, streams)),
        ("Destination", connector_label(_find_connector(context, destination_id))),
        *(_writing(streams[0]) if is_only else []),
        *facts_of_schedule(context, created),
    ]
    if is_only:
        facts += sizes.facts(source_id, streams[0]["stream"])
        facts += _needs(streams[0])
    else:
        facts += sizes.facts_of_several(source_id, [stream["stream"] for stream in streams])
    if created.domain:
        facts.append(("Domain", created.domain.name))
    return [*facts, ("State", "Disabled until you enable it")]


def _reading(stream: StreamDocument) -> list[tuple[str, str]]:
    return [("Stream", stream["stream"]), ("Sync mode", describe_sync_mode(stream))]


def _writing(stream: StreamDocument) -> list[tuple[str, str]]:
    return [
        ("Table", stream["table"]),
        ("Write mode", describe_write_mode(stream)),
        *facts_of_rules(stream),
    ]


def _needs(stream: StreamDocument) -> list[tuple[str, str]]:
    """Return what the stream must have for its modes."""
    needs = []
    if stream["sync_mode"] == "incremental" and stream["cursor_field"]:
        needs.append(f"the column {stream['cursor_field']} grows with each new or changed row")
    if stream["write_mode"] == "merge":
        needs.append(f"the columns {', '.join(stream['primary_key'])} identify a row")
    return [("Needs", "; ".join(needs))] if needs else []


def _warnings(context: ToolContext, proposal: ProposedPipeline) -> Iterator[str]:
    """Yield a warning for each connector that is not known to work."""
    for connector_id in (proposal.source_connector_id, proposal.destination_connector_id):
        connector = _find_connector(context, connector_id)
        if connector.check_ok is False:
            yield f"The last check of the {connector.role} {connector.name} failed."
        elif connector.check_ok is None and not visibility.has_succeeded_with(
            context.org, connector
        ):
            yield f"The {connector.role} {connector.name} has not been checked with its settings yet."


def _find_connector(context: ToolContext, connector_id: UUID) -> Connector:
    return connectors.find_connector(org=context.org, by=context.by, connector_id=connector_id)


TOOL = Tool(
    name="create_pipelines",
    title="Create pipelines",
    description=(
        "Propose new pipelines. The user sees each complete pipeline and approves, edits or rejects the proposal. The"
        " pipelines are created disabled. Find the connectors and streams with list_connectors and list_streams first."
        " One pipeline reads many streams: name them, or choose them with patterns."
    ),
    level=Level.BUILD,
    effect=Effect.DATABASE,
    permission=Permission.PIPELINES_EDIT,
    arguments=CreatePipelines,
    perform=perform,
    card=show,
)
