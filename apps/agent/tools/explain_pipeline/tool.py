"""Explain why a pipeline is late, failing, waiting or empty, with evidence."""

from __future__ import annotations

from functools import partial
from textwrap import shorten

from apps.agent.tools.base import Answer, Effect, Level, SlowAnswer, Tool, ToolContext
from apps.agent.tools.explain_pipeline.arguments import ExplainPipeline
from apps.agent.tools.links import Link, pipeline_path
from apps.agent.tools.record_values import hide_values_of_line
from apps.orgs.roles import Permission
from apps.runs.explaining import services
from apps.runs.explaining.findings import Evidence, Explanation, SuggestedChange

MAX_LINK_LABEL = 80  # characters
FOREIGN_FIELDS = frozenset({"pipeline", "evidence"})


def perform(context: ToolContext, arguments: ExplainPipeline) -> SlowAnswer:
    call = services.explain(org=context.org, by=context.by, pipeline_id=arguments.pipeline_id)
    return SlowAnswer(call, partial(_render, context))


def _render(context: ToolContext, explanation: Explanation) -> Answer:
    evidence = [
        {"text": _text(context, found), "link": found.path} for found in explanation.evidence
    ]
    content: dict[str, object] = {
        "pipeline": explanation.pipeline_name,
        "healthy": explanation.is_healthy,
        "evidence": evidence,
    }
    if explanation.suggestion is not None:
        content["suggested_change"] = _suggested_call(explanation, explanation.suggestion)
    summary = f"Found {len(evidence)} facts about {explanation.pipeline_name}."
    links = _links(explanation)
    return Answer(content, summary, links=links, foreign_fields=FOREIGN_FIELDS)


def _text(context: ToolContext, found: Evidence) -> str:
    if not found.quote:
        return found.text
    quote = hide_values_of_line(context, found.quote, by_code=found.by_code)
    return f"{found.text.rstrip('.')}: {quote}"


def _suggested_call(explanation: Explanation, change: SuggestedChange) -> dict[str, object]:
    """Return the tool call that makes the suggested change, after the user has approved it."""
    tool, values = _tool_and_values(change)
    arguments = {"pipeline_id": str(explanation.pipeline_id), **values}
    return {"reason": change.reason, "tool": tool, "arguments": arguments}


def _tool_and_values(change: SuggestedChange) -> tuple[str, dict[str, object]]:
    if change.enabled is not None:
        return "set_pipeline_enabled", {"enabled": change.enabled}
    if change.paused is not None:
        return "set_schedule_paused", {"paused": change.paused}
    if change.restored_version is not None:
        return "restore_pipeline_version", {"number": change.restored_version}
    values: dict[str, object] = {
        name: value
        for name in ("timeout_seconds", "max_attempts")
        if (value := getattr(change, name)) is not None
    }
    if change.interval_seconds is not None:
        values["schedule"] = {"interval_seconds": change.interval_seconds}
    return "update_pipeline", values


def _links(explanation: Explanation) -> tuple[Link, ...]:
    """Return each page that the evidence names, once."""
    pages = {found.path: found.text for found in reversed(explanation.evidence)}
    pages[pipeline_path(explanation.pipeline_id)] = explanation.pipeline_name
    return tuple(
        {"label": shorten(label, MAX_LINK_LABEL, placeholder=" …"), "path": path}
        for path, label in reversed(pages.items())
    )


TOOL = Tool(
    name="explain_pipeline",
    title="Explain a pipeline",
    description=(
        "Explain why a pipeline is late, failing, waiting or empty: facts with links, and a change of settings where one"
        " would help. If the pipeline is healthy, say that first. To propose the suggested change, call the tool that it"
        " names: the user then approves or rejects it."
    ),
    level=Level.READ,
    effect=Effect.NONE,
    permission=Permission.READ,
    arguments=ExplainPipeline,
    perform=perform,
)
