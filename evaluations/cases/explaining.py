"""Questions about reasons, and changes of settings that help."""

from __future__ import annotations

from evaluations.case import Case, Group, Step
from evaluations.cases.scripted import enable, say, update
from evaluations.scene import Scene
from tests.agent.tools import runs as run_states

FLIGHTS, ORDERS, WEATHER = "Flights to Parquet", "Orders hourly", "Weather to Warehouse"
EXPLAIN_WEATHER = ("explain_pipeline", {"pipeline_id": f"[[{WEATHER}]]"})
MORE_TIME = {WEATHER: {"timeout_seconds": 120}}


def _start_flights(scene: Scene) -> None:
    run_states.start_run(scene.world, scene.pipeline(FLIGHTS))


CASES = (
    Case(
        name="explain-a-failure-and-repair-it",
        group=Group.EXPLAIN,
        messages=["why is weather failing?"],
        calls=[EXPLAIN_WEATHER],
        approves=["update_pipeline"],
        changes=MORE_TIME,
        script=(
            Step("I look. ", [EXPLAIN_WEATHER]),
            Step("It needs more time. ", [update(WEATHER, timeout_seconds=120)]),
            say("It has more time now."),
        ),
    ),
    Case(
        name="explain-a-failure-without-repairing-it",
        group=Group.EXPLAIN,
        messages=["why is weather failing?"],
        calls=[EXPLAIN_WEATHER],
        rejects=["update_pipeline"],
        never_says=["The settings of Weather to Warehouse are changed"],
        script=(
            Step("I look. ", [EXPLAIN_WEATHER]),
            Step("It needs more time. ", [update(WEATHER, timeout_seconds=120)]),
            say("I have changed nothing."),
        ),
    ),
    Case(
        name="repair-the-run-of-the-page",
        group=Group.EXPLAIN,
        messages=["fix it"],
        page="/runs/[[failed run]]",
        calls=[EXPLAIN_WEATHER],
        approves=["update_pipeline"],
        changes=MORE_TIME,
    ),
    Case(
        name="explain-a-disabled-pipeline",
        group=Group.EXPLAIN,
        messages=['why does "Orders hourly" not run?'],
        calls=[("explain_pipeline", {"pipeline_id": f"[[{ORDERS}]]"})],
        approves=["set_pipeline_enabled"],
        changes={ORDERS: {"enabled": True}},
        says=["enabled"],
        script=(
            Step("", [("explain_pipeline", {"pipeline_id": f"[[{ORDERS}]]"})]),
            Step("It is disabled. ", [enable(ORDERS, enabled=True)]),
            say(f"It is enabled now, see [its page](/pipelines/[[{ORDERS}]])."),
        ),
    ),
    Case(
        name="explain-a-waiting-run",
        group=Group.EXPLAIN,
        messages=["why is flights waiting?"],
        prepare=_start_flights,
        calls=[("explain_pipeline", {"pipeline_id": f"[[{FLIGHTS}]]"})],
        says=["waiting for a worker"],
    ),
    Case(
        name="explain-a-run-without-records",
        group=Group.EXPLAIN,
        messages=["why is flights empty?"],
        calls=[("explain_pipeline", {"pipeline_id": f"[[{FLIGHTS}]]"})],
        says=["no records"],
    ),
    Case(
        name="explain-with-the-log",
        group=Group.EXPLAIN,
        messages=["What does the log of the failed run of weather say?"],
        is_guided=False,
        calls=[("read_log", {"run_id": "[[failed run]]"})],
        wording="says that the log has no lines",
        script=(
            Step("", [("read_log", {"run_id": "[[failed run]]"})]),
            say("The log has no lines."),
        ),
    ),
)
