"""Explain why a pipeline is late, failing, waiting or empty, and propose the change that would help."""

from __future__ import annotations

from typing import Any

from apps.agent.guided.intents import finding
from apps.agent.guided.requests import Explain
from apps.agent.guided.turns import Turn


def explain(turn: Turn, request: Explain) -> str:
    pipeline = finding.find_pipeline(turn, request.name)
    answer = turn.read("explain_pipeline", {"pipeline_id": str(pipeline["id"])}).content
    text = _text(str(pipeline["name"]), answer)
    suggestion = answer.get("suggested_change")
    if not isinstance(suggestion, dict) or not suggestion:
        return text
    arguments = {**suggestion, "pipeline_id": str(pipeline["id"])}
    turn.propose("update_pipeline", arguments, f"{text}\n\nI propose this change of the settings.")
    return f"The settings of {pipeline['name']} are changed."


def _text(name: str, answer: Any) -> str:
    summary = answer.get("summary") or answer.get("verdict") or f"This is known about {name}:"
    evidence = [line for line in answer.get("evidence") or () if isinstance(line, dict)]
    lines = [f"- {_evidence_line(line)}" for line in evidence]
    return "\n".join([str(summary), *lines]) if lines else f"{summary}"


def _evidence_line(line: dict[str, Any]) -> str:
    link = line.get("link")
    path = link.get("path") if isinstance(link, dict) else link
    return f"{line.get('text')} ([open]({path}))" if path else str(line.get("text"))
