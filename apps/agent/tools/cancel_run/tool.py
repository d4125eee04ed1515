"""Cancel a waiting or running run."""

from __future__ import annotations

from typing import Any

from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.cancel_run.arguments import CancelRun
from apps.agent.tools.links import run_link, short_id
from apps.orgs.exceptions import Invalid
from apps.orgs.roles import Permission
from apps.runs import services, snapshots, visibility
from apps.runs.backfills import services as backfills

WHICH = "Send the run_id of a run, or the pipeline_id and backfill_id of a backfill."


def perform(context: ToolContext, arguments: CancelRun) -> Answer:
    run_id = arguments.run_id
    if run_id is None:
        return _cancel_backfill(context, arguments)
    services.cancel(org=context.org, by=context.by, run_id=run_id)
    run = snapshots.run(org_id=context.org.pk, run_id=run_id)
    name = f"run {short_id(run['id'])} of {run['pipeline']['name']}"
    is_cancelled = run["status"] == "cancelled"
    summary = f"Cancelled the {name}." if is_cancelled else f"The {name} ends within ten seconds."
    content = {"run_id": str(run["id"]), "status": run["status"], "cancel_requested": True}
    return Answer(content, summary, links=(run_link(run["id"]),))


def show(context: ToolContext, arguments: CancelRun) -> Card:
    run_id = arguments.run_id
    if run_id is None:
        return _card_of_backfill(context, arguments)
    visibility.find_run(org=context.org, by=context.by, run_id=run_id)
    run = snapshots.run(org_id=context.org.pk, run_id=run_id)
    perform(context, arguments)
    facts = (
        ("Pipeline", run["pipeline"]["name"]),
        ("Run", short_id(run["id"])),
        ("State", run["status"]),
        ("Records written so far", f"{run['progress']['written']:,}"),
    )
    return Card(f"Cancel a run of {run['pipeline']['name']}", facts=facts)


def _ids(context: ToolContext, arguments: CancelRun) -> Any:
    """Return the arguments that name the backfill. Raises Invalid."""
    if arguments.pipeline_id is None or arguments.backfill_id is None:
        raise Invalid([("run_id", WHICH, "required")])
    return {
        "org": context.org,
        "by": context.by,
        "pipeline_id": arguments.pipeline_id,
        "backfill_id": arguments.backfill_id,
    }


def _cancel_backfill(context: ToolContext, arguments: CancelRun) -> Answer:
    row = backfills.cancel(**_ids(context, arguments))
    content = {"backfill_id": str(row["id"]), "stream": row["stream"], "status": row["status"]}
    summary = f"Cancelled the backfill of {row['stream']}. What was loaded stays."
    return Answer(content, summary, foreign_fields=frozenset({"stream"}))


def _card_of_backfill(context: ToolContext, arguments: CancelRun) -> Card:
    row = backfills.show(**_ids(context, arguments))
    _cancel_backfill(context, arguments)
    facts = (
        ("Stream", row["stream"]),
        ("Chunks", f"{row['chunks_done']:,} of {row['chunks']:,} are loaded, and stay"),
        ("Records written so far", f"{row['rows_written']:,}"),
    )
    return Card(f"Cancel the backfill of {row['stream']}", facts=facts)


TOOL = Tool(
    name="cancel_run",
    title="Cancel a run",
    description="Cancel a waiting or running run, or a backfill. The user approves it first.",
    level=Level.RUN,
    effect=Effect.DATABASE,
    permission=Permission.RUNS_CANCEL,
    arguments=CancelRun,
    perform=perform,
    card=show,
)
