"""Explain why a pipeline is late, failing, waiting or empty, with evidence."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

from apps.agent.tools.base import Answer, Effect, Level, SlowAnswer, Tool, ToolContext
from apps.agent.tools.explain_pipeline.arguments import ExplainPipeline
from apps.agent.tools.links import Link, pipeline_path
from apps.agent.tools.record_values import hide_values_of_line
from apps.orgs.roles import Permission
from apps.runs.explaining import services
from apps.runs.explaining.findings import Evidence, Explanation, SuggestedChange

MAX_LINK_LABEL = 80  # characters


def perform(context: ToolContext, arguments: ExplainPipeline) -> SlowAnswer:
    call = services.explain(org=context.org, by=context.by, pipeline_id=arguments.pipeline_id)
    return SlowAnswer(call, partial(_render, context))


def _render(context: ToolContext, explanation: Explanation) -> Answer:
    evidence = [
        {"text": _text(context, found), "link": found.path} for found in explanation.evidence
    ]
    content: dict[str, object] = {"pipeline": explanation.pipeline_name, "evidence": evidence}
    if explanation.suggestion is not None:
        content["suggested_change"] = {
            "reason": explanation.suggestion.reason,
            "tool": "update_pipeline",
            "arguments": _update_arguments(explanation, explanation.suggestion),
        }
    summary = f"Found {len(evidence)} facts about {explanation.pipeline_name}."
    return Answer(content, summary, links=_links(explanation))


def _text(context: ToolContext, found: Evidence) -> str:
    if not found.quote:
        return found.text
    quote = hide_values_of_line(context, found.quote, by_code=found.by_code)
    return f"{found.text.rstrip('.')}: {quote}"


def _update_arguments(explanation: Explanation, change: SuggestedChange) -> dict[str, object]:
    """Return the arguments of update_pipeline for the suggested change."""
    values = {
        name: value
        for name, value in asdict(change).items()
        if value is not None and name not in {"reason", "interval_seconds"}
    }
    if change.interval_seconds is not None:
        values["schedule"] = {"interval_seconds": change.interval_seconds}
    return {"pipeline_id": str(explanation.pipeline_id), **values}


def _links(explanation: Explanation) -> tuple[Link, ...]:
    """Return each page that the evidence names, once."""
    pages = {found.path: found.text for found in reversed(explanation.evidence)}
    pages[pipeline_path(explanation.pipeline_id)] = explanation.pipeline_name
    return tuple(
        {"label": label[:MAX_LINK_LABEL], "path": path} for path, label in reversed(pages.items())
    )


TOOL = Tool(
    name="explain_pipeline",
    title="Explain a pipeline",
    description=(
        "Explain why a pipeline is late, failing, waiting or empty: facts with links, and a change of settings where one"
        " would help. Propose the suggested change with update_pipeline, if the user agrees."
    ),
    level=Level.READ,
    effect=Effect.NONE,
    permission=Permission.READ,
    arguments=ExplainPipeline,
    perform=perform,
)
