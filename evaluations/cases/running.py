"""Requests that start, cancel and retry runs."""

from __future__ import annotations

from evaluations.case import Case, Group, Step
from evaluations.cases.scripted import say
from evaluations.scene import Scene
from tests.agent.tools import runs as run_states

FLIGHTS, ORDERS, WEATHER = "Flights to Parquet", "Orders hourly", "Weather to Warehouse"


def run_case(name: str, message: str, tool: str, runs: dict[str, str], **fields: object) -> Case:
    """Return a case in which one message changes the runs of a pipeline after one approval."""
    return Case(
        name=f"run-{name}",
        group=Group.RUN,
        messages=[message],
        approves=[tool],
        runs=runs,
        **fields,  # type: ignore[arg-type]
    )


def _start_flights(scene: Scene) -> None:
    pipeline = scene.pipeline("Flights to Parquet")
    scene.ids["waiting run"] = str(run_states.start_run(scene.world, pipeline))


CASES = (
    run_case(
        "start",
        "run Flights to Parquet",
        "run_pipeline",
        {FLIGHTS: "pending"},
        script=(
            Step("", [("run_pipeline", {"pipeline_id": f"[[{FLIGHTS}]]"})]),
            say("A run has been started."),
        ),
    ),
    run_case(
        "start-politely",
        "please start the flights pipeline now",
        "run_pipeline",
        {FLIGHTS: "pending"},
    ),
    run_case(
        "a-disabled-pipeline-once",
        'run "Orders hourly"',
        "run_pipeline",
        {ORDERS: "pending"},
        script=(
            Step("", [("run_pipeline", {"pipeline_id": f"[[{ORDERS}]]", "force": True})]),
            say("A run has been started."),
        ),
    ),
    run_case(
        "the-pipeline-of-the-page",
        "run it",
        "run_pipeline",
        {WEATHER: "pending"},
        page=f"/pipelines/[[{WEATHER}]]",
    ),
    run_case(
        "retry",
        "retry weather",
        "retry_run",
        {WEATHER: "pending"},
        script=(
            Step("", [("list_runs", {"pipeline_id": f"[[{WEATHER}]]"})]),
            Step("", [("retry_run", {"run_id": "[[failed run]]"})]),
            say("It is tried again."),
        ),
    ),
    run_case(
        "retry-the-run-of-the-page",
        "retry it",
        "retry_run",
        {WEATHER: "pending"},
        page="/runs/[[failed run]]",
    ),
    run_case(
        "cancel",
        "cancel flights",
        "cancel_run",
        {FLIGHTS: "cancelled"},
        prepare=_start_flights,
        script=(
            Step("", [("cancel_run", {"run_id": "[[waiting run]]"})]),
            say("The run is cancelled."),
        ),
    ),
    Case(
        name="run-cancel-when-nothing-runs",
        group=Group.RUN,
        messages=["cancel flights"],
        says=["no run"],
        script=(
            Step("", [("cancel_run", {"run_id": "[[failed run]]"})]),
            say("There is no run in progress."),
        ),
    ),
    Case(
        name="run-rejected",
        group=Group.RUN,
        messages=["run Flights to Parquet"],
        rejects=["run_pipeline"],
        never_says=["has been started"],
        script=(
            Step("", [("run_pipeline", {"pipeline_id": f"[[{FLIGHTS}]]"})]),
            say("Nothing was started."),
        ),
    ),
)
