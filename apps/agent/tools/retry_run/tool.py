"""Retry a failed or cancelled run."""

from __future__ import annotations

from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.links import run_link, short_id
from apps.agent.tools.retry_run.arguments import RetryRun
from apps.orgs.roles import Permission
from apps.runs import services, snapshots, visibility


def perform(context: ToolContext, arguments: RetryRun) -> Answer:
    services.retry(org=context.org, by=context.by, run_id=arguments.run_id)
    run = snapshots.run(org_id=context.org.pk, run_id=arguments.run_id)
    summary = f"Retrying the run {short_id(run['id'])} of {run['pipeline']['name']}."
    content = {"run_id": str(run["id"]), "status": run["status"]}
    return Answer(content, summary, links=(run_link(run["id"]),))


def show(context: ToolContext, arguments: RetryRun) -> Card:
    visibility.find_run(org=context.org, by=context.by, run_id=arguments.run_id)
    run = snapshots.run(org_id=context.org.pk, run_id=arguments.run_id)
    perform(context, arguments)
    facts = [
        ("Pipeline", run["pipeline"]["name"]),
        ("Run", short_id(run["id"])),
        ("State", run["status"]),
    ]
    if run["failure"] is not None:
        facts += [("Failure", run["failure"]["message"]), ("Advice", run["failure"]["next_step"])]
    return Card(f"Retry a run of {run['pipeline']['name']}", facts=tuple(facts))


TOOL = Tool(
    name="retry_run",
    title="Retry a run",
    description=(
        "Retry a failed or cancelled run from its last checkpoint. The user approves it first. To run the pipeline with"
        " changed settings, use run_pipeline instead."
    ),
    level=Level.RUN,
    effect=Effect.DATABASE,
    permission=Permission.PIPELINES_RUN,
    arguments=RetryRun,
    perform=perform,
    card=show,
)
