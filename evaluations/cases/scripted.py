"""Short forms for the steps of scripts."""

from __future__ import annotations

from typing import Any

from evaluations.case import Step, ToolCall


def call(tool: str, **arguments: Any) -> Step:
    """Return the step that calls one tool."""
    return Step("", [(tool, arguments)])


def say(text: str) -> Step:
    """Return the step that answers with a text."""
    return Step(text)


def proposed(
    name: str, source: str, stream: str, destination: str, schedule: Any = None, **fields: Any
) -> dict[str, Any]:
    """Return one pipeline of a proposal. The fields are those of the stream."""
    return {
        "name": name,
        "source_connector_id": f"[[{source}]]",
        "destination_connector_id": f"[[{destination}]]",
        "streams": [{"stream": stream, **fields}],
        "schedule": schedule,
    }


def propose(*pipelines: dict[str, Any]) -> Step:
    """Return the step that proposes new pipelines."""
    return Step("I propose this. ", [("create_pipelines", {"pipelines": list(pipelines)})])


def update(pipeline: str, **changes: Any) -> ToolCall:
    """Return the call that changes a pipeline."""
    return ("update_pipeline", {"pipeline_id": f"[[{pipeline}]]", **changes})


def enable(pipeline: str, *, enabled: bool = True) -> ToolCall:
    """Return the call that enables or disables a pipeline."""
    return ("set_pipeline_enabled", {"pipeline_id": f"[[{pipeline}]]", "enabled": enabled})
