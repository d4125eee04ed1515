"""Cancel a waiting or running run."""

from __future__ import annotations

from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.cancel_run.arguments import CancelRun
from apps.agent.tools.links import run_link, short_id
from apps.orgs.roles import Permission
from apps.runs import services, snapshots, visibility


def perform(context: ToolContext, arguments: CancelRun) -> Answer:
    services.cancel(org=context.org, by=context.by, run_id=arguments.run_id)
    run = snapshots.run(org_id=context.org.pk, run_id=arguments.run_id)
    name = f"run {short_id(run['id'])} of {run['pipeline']['name']}"
    is_cancelled = run["status"] == "cancelled"
    summary = f"Cancelled the {name}." if is_cancelled else f"The {name} ends within ten seconds."
    content = {"run_id": str(run["id"]), "status": run["status"], "cancel_requested": True}
    return Answer(content, summary, links=(run_link(run["id"]),))


def show(context: ToolContext, arguments: CancelRun) -> Card:
    visibility.find_run(org=context.org, by=context.by, run_id=arguments.run_id)
    run = snapshots.run(org_id=context.org.pk, run_id=arguments.run_id)
    perform(context, arguments)
    facts = (
        ("Pipeline", run["pipeline"]["name"]),
        ("Run", short_id(run["id"])),
        ("State", run["status"]),
        ("Records written so far", f"{run['progress']['written']:,}"),
    )
    return Card(f"Cancel a run of {run['pipeline']['name']}", facts=facts)


TOOL = Tool(
    name="cancel_run",
    title="Cancel a run",
    description="Cancel a waiting or running run. The user approves it first.",
    level=Level.RUN,
    effect=Effect.DATABASE,
    permission=Permission.RUNS_CANCEL,
    arguments=CancelRun,
    perform=perform,
    card=show,
)
