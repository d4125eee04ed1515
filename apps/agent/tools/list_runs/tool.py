"""List the newest runs that the user can see."""

from __future__ import annotations

from apps.agent.tools.base import Answer, Effect, Level, Tool, ToolContext
from apps.agent.tools.counted_words import counted
from apps.agent.tools.links import short_id
from apps.agent.tools.list_runs.arguments import ListRuns
from apps.agent.tools.record_values import hide_values
from apps.orgs.roles import Permission
from apps.pipelines.visibility import find_pipeline
from apps.runs import queries, visibility
from apps.runs.snapshots import RunSnapshot


def perform(context: ToolContext, arguments: ListRuns) -> Answer:
    rows = visibility.runs(context.org, context.by)
    if arguments.pipeline_id:
        find_pipeline(org=context.org, by=context.by, pipeline_id=arguments.pipeline_id)
        rows = rows.filter(pipeline_id=arguments.pipeline_id)
    if arguments.status:
        rows = rows.filter(status=arguments.status)
    count = rows.count()
    newest = queries.newest_runs(rows, org_id=context.org.pk, limit=arguments.limit)
    content = {"count": count, "runs": [_render(context, run) for run in newest]}
    summary = f"Found {counted(count, 'run')}."
    return Answer(content, summary, foreign_fields=frozenset({"runs"}))


def _render(context: ToolContext, run: RunSnapshot) -> dict[str, object]:
    failure = run["failure"]
    return {
        "id": run["id"],
        "label": short_id(run["id"]),
        "pipeline": run["pipeline"],
        "status": run["status"],
        "trigger": run["trigger"],
        "kind": run["kind"],
        "attempt": run["attempt"],
        "waiting_reason": run["waiting_reason"],
        "not_before": run["not_before"],
        "created_at": run["created_at"],
        "finished_at": run["finished_at"],
        "records_read": run["progress"]["read"],
        "records_written": run["progress"]["written"],
        "failure_class": failure["class"] if failure else None,
        "failure": hide_values(context, failure["message"]) if failure else None,
    }


TOOL = Tool(
    name="list_runs",
    title="List runs",
    description="List the newest runs, of one pipeline or of all pipelines, with their state and failure.",
    level=Level.READ,
    effect=Effect.NONE,
    permission=Permission.READ,
    arguments=ListRuns,
    perform=perform,
)
