"""List the pipelines that the user can see."""

from __future__ import annotations

from apps.agent.tools.base import Answer, Effect, Level, Tool, ToolContext
from apps.agent.tools.list_pipelines.arguments import ListPipelines
from apps.orgs.roles import Permission
from apps.pipelines import visibility

COLUMNS = (
    "id", "name", "enabled", "source_kind", "destination_kind", "stream", "stream_count",
    "last_run_status", "last_run_kind", "last_run_finished_at", "last_run_records",
)  # fmt: skip


def perform(context: ToolContext, arguments: ListPipelines) -> Answer:
    found = visibility.pipelines(context.org, context.by)
    if arguments.search:
        found = found.filter(name__icontains=arguments.search)
    rows = list(found.order_by("name", "id").values(*COLUMNS)[: arguments.limit])
    count = len(rows) if len(rows) < arguments.limit else found.count()
    content = {"count": count, "pipelines": rows}
    summary = f"Found {count} pipelines." if count != 1 else "Found 1 pipeline."
    return Answer(content, summary, foreign_fields=frozenset({"pipelines"}))


TOOL = Tool(
    name="list_pipelines",
    title="List pipelines",
    description="List pipelines with their source, destination and last run, sorted by name.",
    level=Level.READ,
    effect=Effect.NONE,
    permission=Permission.READ,
    arguments=ListPipelines,
    perform=perform,
)
