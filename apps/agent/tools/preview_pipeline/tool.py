"""Read a few records of a pipeline's stream, with the stored credentials and the pipeline's own code."""

from __future__ import annotations

from functools import partial

from apps.agent.tools.base import Answer, Card, Effect, Level, SlowAnswer, Tool, ToolContext
from apps.agent.tools.causes import failure_answer
from apps.agent.tools.links import describe_streams, kind_label, pipeline_link
from apps.agent.tools.preview_pipeline.arguments import PreviewPipeline
from apps.agent.tools.slow_work import wait_while_busy
from apps.connectors.engine import Preview
from apps.engine.frames.left_out import without_value
from apps.orgs.roles import Permission
from apps.pipelines import visibility
from apps.pipelines.models import Pipeline
from apps.pipelines.trials import services as trials

FOREIGN_FIELDS = frozenset({"columns", "reasons", "records"})
MAX_VALUES = 5  # records whose values are sent to the model, if an admin allows it
NOTE = "Drover connects to the source now, with the stored credentials. Nothing is written."
VALUES_SENT = "The values of up to five records are sent to the language model."
VALUES_NOT_SENT = "Only names, types and counts are sent to the language model, no values."


def perform(context: ToolContext, arguments: PreviewPipeline) -> SlowAnswer:
    pipeline = _find_pipeline(context, arguments)
    call = trials.preview(
        org=context.org,
        by=context.by,
        pipeline_id=pipeline.pk,
        max_records=arguments.max_records,
    )
    return SlowAnswer(wait_while_busy(context, call), partial(_render, context, pipeline))


def show(context: ToolContext, arguments: PreviewPipeline) -> Card:
    pipeline = _find_pipeline(context, arguments)
    perform(context, arguments)  # checks the permission; the call itself is not made
    facts = (
        ("Pipeline", pipeline.name),
        ("Source", f"{kind_label(pipeline.source_kind)}, {describe_streams(pipeline)}"),
        ("Records", f"up to {arguments.max_records}"),
        ("Language model", VALUES_SENT if context.values_allowed else VALUES_NOT_SENT),
        ("Note", NOTE),
    )
    return Card(f"Preview the pipeline {pipeline.name}", facts)


def _find_pipeline(context: ToolContext, arguments: PreviewPipeline) -> Pipeline:
    return visibility.find_pipeline(
        org=context.org, by=context.by, pipeline_id=arguments.pipeline_id
    )


def _render(context: ToolContext, pipeline: Pipeline, preview: Preview) -> Answer:
    failure = preview["failure"]
    if failure is not None:
        return failure_answer(context, failure, what="The preview")
    count = len(preview["records"])
    content = {
        "records_read": count,
        "records_rejected": preview["rejected"],
        "records_skipped": preview["skipped"],
        "reasons": [
            {
                **each,
                "reason": each["reason"]
                if context.values_allowed
                else without_value(each["reason"]),
            }
            for each in preview["left_out"]
        ],
        "columns": preview["columns"],
        "milliseconds": round(preview["ms"]),
    }
    if context.values_allowed:
        content["records"] = preview["records"][:MAX_VALUES]
    summary = f"Read {count} records with {len(preview['columns'])} columns."
    link = pipeline_link(pipeline)
    return Answer(content, summary, links=(link,), foreign_fields=FOREIGN_FIELDS)


TOOL = Tool(
    name="preview_pipeline",
    title="Preview a pipeline",
    description=(
        "Read a few records of a pipeline's stream without writing them, and tell the names and types of the columns."
        " The user approves it first. The values of records are left out unless an admin has allowed them."
    ),
    level=Level.BUILD,
    effect=Effect.EXTERNAL,
    permission=Permission.PIPELINES_EDIT,
    arguments=PreviewPipeline,
    perform=perform,
    card=show,
)
