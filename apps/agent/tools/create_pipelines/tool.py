"""Create pipelines, disabled. The user approves the complete proposal first."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.create_pipelines.arguments import CreatePipelines, ProposedPipeline
from apps.connectors import services as connectors
from apps.orgs.roles import Permission
from apps.pipelines import services
from apps.pipelines.history import versions
from apps.pipelines.models import Pipeline
from apps.pipelines.schedules import plans, words
from apps.pipelines.schedules.services import schedule_of
from apps.pipelines.schedules.times import next_times

SHOWN_TIMES = 3


def perform(context: ToolContext, arguments: CreatePipelines) -> Answer:
    created = [_create(context, proposal) for proposal in arguments.pipelines]
    names = ", ".join(pipeline.name for pipeline in created)
    return Answer(
        {"pipelines": [{"id": str(p.pk), "name": p.name, "enabled": False} for p in created]},
        f"Created {names}. It is disabled until you enable it."
        if len(created) == 1
        else f"Created {len(created)} pipelines: {names}. They are disabled until you enable them.",
        links=tuple({"label": p.name, "path": f"/pipelines/{p.pk}"} for p in created),
    )


def show(context: ToolContext, arguments: CreatePipelines) -> Card:
    facts: list[tuple[str, str]] = []
    for proposal in arguments.pipelines:
        facts += _facts(context, proposal, _create(context, proposal))
    count = len(arguments.pipelines)
    title = f"Create {count} pipelines" if count > 1 else "Create a pipeline"
    return Card(title, facts=tuple(facts))


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
        schedule=schedule.model_dump(exclude_none=True) if schedule else None,
        config={
            "source": {"connector_id": str(proposal.source_connector_id)},
            "streams": [stream.model_dump(exclude_none=True) for stream in proposal.streams],
            "destination": {"connector_id": str(proposal.destination_connector_id)},
        },
        checked=context.checked,
    )


def _facts(
    context: ToolContext, proposal: ProposedPipeline, created: Pipeline
) -> list[tuple[str, str]]:
    """Return what the pipeline will be, from the pipeline that the dry run has created."""
    stream = versions.current_definition(context.org, created).stream
    facts = [
        ("Name", created.name),
        ("Source", _connector_name(context, proposal.source_connector_id)),
        ("Stream", stream["stream"]),
        ("Sync mode", _sync_mode(stream)),
        ("Destination", _connector_name(context, proposal.destination_connector_id)),
        ("Table", stream["table"]),
        ("Write mode", stream["write_mode"]),
        *_schedule_facts(context, created),
    ]
    return [*facts, ("State", "Disabled until you enable it")]


def _connector_name(context: ToolContext, connector_id: Any) -> str:
    connector = connectors.find_connector(org=context.org, by=context.by, connector_id=connector_id)
    return f"{connector.name} ({connector.kind})"


def _sync_mode(stream: Any) -> str:
    mode = str(stream["sync_mode"]).replace("_", " ").capitalize()
    return f"{mode}, cursor {stream['cursor_field']}" if stream["cursor_field"] else mode


def _schedule_facts(context: ToolContext, created: Pipeline) -> list[tuple[str, str]]:
    plan = plans.from_row(schedule_of(context.org, created))
    if plan is None:
        return [("Schedule", "None: run it by hand")]
    times = next_times(plan, timezone.now(), SHOWN_TIMES)
    facts = [("Schedule", words.describe(plan))]
    if plan.cron:
        facts.append(("Cron", f"{plan.cron} ({plan.timezone})"))
    return [*facts, ("Next times", ", ".join(f"{at:%Y-%m-%d %H:%M} UTC" for at in times))]


TOOL = Tool(
    name="create_pipelines",
    title="Create pipelines",
    description=(
        "Propose new pipelines. The user sees each complete pipeline and approves, edits or rejects the proposal. The"
        " pipelines are created disabled. Find the connectors and streams with list_connectors and list_streams first."
    ),
    level=Level.BUILD,
    effect=Effect.DATABASE,
    permission=Permission.PIPELINES_EDIT,
    arguments=CreatePipelines,
    perform=perform,
    card=show,
)
