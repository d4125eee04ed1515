"""Read a window of streams again, beside their saved positions. The source estimates the rows first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from apps.agent.tools.backfill_streams.arguments import BackfillStreams
from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.counted_words import counted
from apps.agent.tools.links import pipeline_link
from apps.agent.tools.record_values import hide_values
from apps.engine import EngineError
from apps.orgs.exceptions import CheckFirst
from apps.orgs.roles import Permission
from apps.orgs.slow_calls import SlowCall
from apps.pipelines.visibility import find_pipeline
from apps.runs.backfills import services
from apps.runs.backfills.services import StreamPlan, WindowChoice
from apps.runs.models import BackfillMode

WAYS = {
    BackfillMode.MERGE: "Rows are inserted or updated by their key",
    BackfillMode.REPLACE: "The rows of the window are replaced",
}
BESIDE = "The saved positions do not change. Runs that are due go first, between the chunks."


class PlansNeeded(CheckFirst):
    """The source has to be asked for the sizes of the windows first, outside the transaction."""

    def __init__(self, context: ToolContext, call: SlowCall[list[StreamPlan]]) -> None:
        super().__init__(self.__doc__)
        self.context = context
        self.call = call

    def check(self) -> list[StreamPlan]:
        """Return the plans. Raises EngineError, whose message may go to the language model."""
        try:
            return self.call.run()
        except EngineError as error:
            message = hide_values(self.context, error.message)
            raise type(error)(message, retry_after=error.retry_after) from error


def perform(context: ToolContext, arguments: BackfillStreams) -> Answer:
    rows = services.create(
        org=context.org,
        by=context.by,
        pipeline_id=arguments.pipeline_id,
        plans=_plans(context, arguments),
    )
    pipeline = find_pipeline(org=context.org, by=context.by, pipeline_id=arguments.pipeline_id)
    content = {
        "pipeline_id": str(pipeline.pk),
        "backfills": [
            {name: row[name] for name in ("id", "stream", "status", "chunks", "rows_expected")}
            for row in rows
        ],
    }
    summary = f"Started {counted(len(rows), 'backfill')} of {pipeline.name}."
    links, foreign = (pipeline_link(pipeline),), frozenset({"backfills"})
    return Answer(content, summary, links=links, foreign_fields=foreign)


def show(context: ToolContext, arguments: BackfillStreams) -> Card:
    """Return the card. Raises PlansNeeded once."""
    plans = _plans(context, arguments)
    perform(context, arguments)
    pipeline = find_pipeline(org=context.org, by=context.by, pipeline_id=arguments.pipeline_id)
    facts = [("Pipeline", pipeline.name)]
    for plan in plans:
        facts += _facts(plan)
    return Card(f"Backfill {pipeline.name}", facts=(*facts, ("Note", BESIDE)))


def _facts(plan: StreamPlan) -> Iterator[tuple[str, str]]:
    window = plan.window
    yield "Stream", plan.stream
    if window.end is None or window.rows is None:
        yield "Window", "all of the stream"
        yield "Write mode", WAYS[BackfillMode(plan.mode)]
        return
    start = window.start if window.start is not None else "the beginning"
    yield "Window", f"{plan.cursor_field} from {start} to {window.end}"
    about = "" if window.is_counted else "about "
    chunks = counted(len(plan.bounds) - 1, "chunk")
    yield "Records to expect", f"{about}{window.rows:,}, in {chunks}".capitalize()
    yield "Write mode", WAYS[BackfillMode(plan.mode)]


def _plans(context: ToolContext, arguments: BackfillStreams) -> Sequence[StreamPlan]:
    """Return the plans that the check has made. Raises PlansNeeded if it was not made yet."""
    if isinstance(context.checked, list):
        return cast(list[StreamPlan], context.checked)
    choice = WindowChoice(
        tuple(dict.fromkeys(arguments.streams)),
        arguments.start,
        arguments.end,
        arguments.rows_per_chunk,
    )
    call = services.plan(
        org=context.org, by=context.by, pipeline_id=arguments.pipeline_id, choice=choice
    )
    raise PlansNeeded(context, call)


TOOL = Tool(
    name="backfill_streams",
    title="Backfill streams",
    description=(
        "Read a window of incremental streams again, without changing their saved positions. The user sees the estimate"
        " and approves it first. Cancel a backfill with cancel_run."
    ),
    level=Level.RUN,
    effect=Effect.DATABASE,
    permission=Permission.PIPELINES_RUN,
    arguments=BackfillStreams,
    perform=perform,
    card=show,
)
