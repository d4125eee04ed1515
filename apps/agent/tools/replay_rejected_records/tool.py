"""Send the rejected records of a run again, through the definition of today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.counted_words import counted
from apps.agent.tools.links import run_link, short_id
from apps.agent.tools.replay_rejected_records.arguments import ReplayRejectedRecords
from apps.orgs.exceptions import CheckFirst
from apps.orgs.roles import Permission
from apps.orgs.slow_calls import SlowCall
from apps.runs.models import Run, RunStream
from apps.runs.replays import services
from apps.runs.replays.services import Counts

ONCE = "Each record is sent once. The saved positions do not change."


class CountsNeeded(CheckFirst):
    """The kept records have to be counted first, outside the transaction."""

    def __init__(self, call: SlowCall[Counts]) -> None:
        super().__init__(self.__doc__)
        self.call = call

    def check(self) -> Counts:
        return self.call.run()


def perform(context: ToolContext, arguments: ReplayRejectedRecords) -> Answer:
    run = _start(context, arguments)
    streams = _streams_of(context, run)
    content = {
        "run_id": str(run.pk),
        "status": run.status,
        "streams": [{"stream": row.name, "records": row.records_total} for row in streams],
    }
    count = counted(sum(row.records_total or 0 for row in streams), "rejected record")
    summary = f"Sending {count} of the run {short_id(arguments.run_id)} again."
    links, foreign = (run_link(run.pk),), frozenset({"streams"})
    return Answer(content, summary, links=links, foreign_fields=foreign)


def show(context: ToolContext, arguments: ReplayRejectedRecords) -> Card:
    """Return the card. Raises CountsNeeded once."""
    run = _start(context, arguments)
    facts = [("Pipeline", run.pipeline.name), ("Run", short_id(arguments.run_id))]
    for row in _streams_of(context, run):
        facts += [("Stream", row.name), ("Records", f"{row.records_total or 0:,}")]
    title = f"Send rejected records of {run.pipeline.name} again"
    return Card(title, facts=(*facts, ("Note", ONCE)))


def _start(context: ToolContext, arguments: ReplayRejectedRecords) -> Run:
    """Start the run with the counts that the check has made. Raises CountsNeeded if it was not made yet."""
    if not isinstance(context.checked, Mapping):
        call = services.count(org=context.org, by=context.by, run_id=arguments.run_id)
        raise CountsNeeded(call)
    return services.start(
        org=context.org,
        by=context.by,
        run_id=arguments.run_id,
        streams=arguments.streams,
        counts=cast(Counts, context.checked),
    )


def _streams_of(context: ToolContext, run: Run) -> list[RunStream]:
    rows = RunStream.objects.for_org(context.org).filter(run=run)
    return list(rows.order_by("position"))


TOOL = Tool(
    name="replay_rejected_records",
    title="Send rejected records again",
    description=(
        "Send the rejected records of a run again through the pipeline as it is defined now, for example after its rules or"
        " its transform were corrected. The user sees the streams and the numbers of records and approves it first."
        " Follow the new run with show_run."
    ),
    level=Level.RUN,
    effect=Effect.DATABASE,
    permission=Permission.PIPELINES_RUN,
    arguments=ReplayRejectedRecords,
    perform=perform,
    card=show,
)
