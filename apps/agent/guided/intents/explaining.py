"""Explain why a pipeline is late, failing, waiting or empty, and propose the change that would help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apps.agent.guided.intents import finding
from apps.agent.guided.requests import Explain
from apps.agent.guided.turns import Turn

NO_CHANGE = (
    "I know no change of the settings that would help. The lines above say what to look at. When the cause is removed,"
    ' say "retry it" to try the newest failed run again.'
)
KNOWN = "Nothing about {name} has changed since I explained it above."
HEALTHY = "{name} is fine: it is not late, failing or empty. This is known about it:"
DONE = {  # {tool that made the change: what is said then}
    "set_pipeline_enabled": "{name} is enabled.",
    "set_schedule_paused": "The schedule of {name} is resumed.",
    "restore_pipeline_version": "The earlier version of {name} is restored.",
}


def explain(turn: Turn, request: Explain) -> str:
    pipeline = finding.find_pipeline(turn, request.name)
    answer = turn.read("explain_pipeline", {"pipeline_id": str(pipeline["id"])})
    name = str(pipeline["name"])
    if request.wants_change and _was_said(turn, str(pipeline["id"]), answer.content):
        text = KNOWN.format(name=name)
    else:
        is_healthy = answer.content.get("healthy") is True
        text = _text(name, answer.rows("evidence"), is_healthy=is_healthy)
    suggestion = answer.content.get("suggested_change")
    if not isinstance(suggestion, dict):
        return f"{text}\n\n{NO_CHANGE}" if request.wants_change else text
    tool = str(suggestion["tool"])
    proposal = f"{text}\n\n{suggestion['reason']} I propose this change."
    turn.propose(tool, suggestion["arguments"], proposal)
    return DONE.get(tool, "The settings of {name} are changed.").format(name=name)


def _was_said(turn: Turn, pipeline_id: str, content: Mapping[str, object]) -> bool:
    """Whether the last explanation in this conversation was about this pipeline and had the same facts."""
    last = next((c for c in turn.earlier_calls() if c.tool == "explain_pipeline"), None)
    return (
        last is not None
        and last.arguments.get("pipeline_id") == pipeline_id
        and last.answer.content == content
    )


def _text(name: str, evidence: Sequence[Mapping[str, Any]], *, is_healthy: bool) -> str:
    if not evidence:
        return f"I have found nothing unusual about {name}."
    first = HEALTHY.format(name=name) if is_healthy else f"This is known about {name}:"
    return "\n".join([first, *map(_evidence_line, evidence)])


def _evidence_line(line: Mapping[str, Any]) -> str:
    path = line.get("link")
    return f"- {line.get('text')} ([open]({path}))" if path else f"- {line.get('text')}"
