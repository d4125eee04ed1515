"""Requests to list and show what there is. Nothing needs an approval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evaluations.case import Case, Group, Step
from evaluations.cases.scripted import say

NOTHING: Mapping[str, Any] = {}
NO_WORDS: Sequence[str] = ()


def show(
    name: str,
    message: str,
    tool: str,
    arguments: Mapping[str, Any] = NOTHING,
    says: Sequence[str] = NO_WORDS,
    *,
    is_scripted: bool = False,
    **fields: Any,
) -> Case:
    """Return a case in which one message is answered with the answer of one tool."""
    answer = f"There are: {', '.join(says)}."
    script = (Step("I look. ", [(tool, arguments)]), say(answer)) if is_scripted else ()
    return Case(
        name=f"show-{name}",
        group=Group.SHOW,
        messages=[message],
        calls=[(tool, arguments)],
        says=says,
        script=script,
        **fields,
    )


FLIGHTS, ORDERS, WEATHER = "Flights to Parquet", "Orders hourly", "Weather to Warehouse"
CASES = (
    show(
        "pipelines",
        "Which pipelines are there?",
        "list_pipelines",
        says=[FLIGHTS, WEATHER, ORDERS],
        is_scripted=True,
        wording="lists the three pipelines",
    ),
    show("pipelines-that-failed", "which pipelines failed?", "list_pipelines", says=[WEATHER]),
    show(
        "failed-runs",
        "list failed runs",
        "list_runs",
        {"status": "failed"},
        [WEATHER],
        is_scripted=True,
    ),
    show("what-is-running", "what is running?", "list_runs", {"status": "running"}),
    show(
        "runs-of-a-pipeline",
        "list runs of weather",
        "list_runs",
        {"pipeline_id": f"[[{WEATHER}]]"},
        ["failed"],
    ),
    show("connectors", "list connectors", "list_connectors", says=["Weather API", "Warehouse"]),
    show(
        "sources",
        "which sources do I have?",
        "list_connectors",
        {"role": "source"},
        ["Flights database", "Weather API", "Shop database"],
        never_says=["Warehouse"],
    ),
    show(
        "destinations",
        "list destinations",
        "list_connectors",
        {"role": "destination"},
        ["Parquet files", "Warehouse"],
        is_scripted=True,
    ),
    show(
        "streams",
        "what tables does Shop database have?",
        "list_streams",
        {"connector_id": "[[Shop database]]"},
        ["orders", "order_items", "planes"],
        is_scripted=True,
    ),
    show(
        "a-pipeline",
        "show flights",
        "show_pipeline",
        {"pipeline_id": f"[[{FLIGHTS}]]"},
        ["flights", "every 6 hours"],
        is_scripted=True,
    ),
    show(
        "when-it-runs-next",
        "when does flights run next?",
        "show_pipeline",
        {"pipeline_id": f"[[{FLIGHTS}]]"},
    ),
    show(
        "the-pipeline-of-the-page",
        "how is it doing?",
        "show_pipeline",
        {"pipeline_id": f"[[{WEATHER}]]"},
        ["failed"],
        page=f"/pipelines/[[{WEATHER}]]",
    ),
    show(
        "a-run",
        "What happened in this run?",
        "show_run",
        {"run_id": "[[failed run]]"},
        ["time limit"],
        is_guided=False,
        is_scripted=True,
        page="/runs/[[failed run]]",
    ),
    show(
        "kinds-of-connectors",
        "Can Drover read from Kafka?",
        "list_connector_kinds",
        {"search": "kafka"},
        ["kafka"],
        is_guided=False,
        is_scripted=True,
    ),
    show(
        "next-times-of-a-schedule",
        "When would a pipeline start that runs weekdays at 7:30 in Berlin?",
        "next_times",
        {"schedule": "weekdays at 7:30 in Berlin"},
        is_guided=False,
        is_scripted=True,
    ),
)
