"""Requests that change or delete pipelines and connectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evaluations.case import Case, Group, Step
from evaluations.cases.scripted import enable, say, update
from evaluations.scene import Scene
from tests.agent.conversing import Talk

FLIGHTS, ORDERS, WEATHER = "Flights to Parquet", "Orders hourly", "Weather to Warehouse"
DAILY = {"cron": "0 6 * * *", "interval_seconds": None}


def change(
    name: str, message: str, tool: str, changes: Mapping[str, Mapping[str, Any]], **fields: Any
) -> Case:
    """Return a case in which one message makes this change after one approval."""
    return Case(
        name=f"change-{name}",
        group=Group.CHANGE,
        messages=[message],
        approves=[tool],
        changes=changes,
        **fields,
    )


def _add_unused_connector(scene: Scene) -> None:
    scene.add_connector("Old numbers", kind="dummy")


def _give_more_time(scene: Scene, talk: Talk, request: Any) -> Mapping[str, Any] | None:
    return {"decision": "edit", "arguments": {**request["arguments"], "timeout_seconds": 900}}


CASES = (
    change(
        "disable",
        "disable flights",
        "set_pipeline_enabled",
        {FLIGHTS: {"enabled": False}},
        script=(Step("", [enable(FLIGHTS, enabled=False)]), say("Disabled.")),
    ),
    change(
        "enable-by-its-complete-name",
        'enable "Orders hourly"',
        "set_pipeline_enabled",
        {ORDERS: {"enabled": True}},
    ),
    change("turn-on", "turn on orders", "set_pipeline_enabled", {ORDERS: {"enabled": True}}),
    change(
        "the-pipeline-of-the-page",
        "disable it",
        "set_pipeline_enabled",
        {WEATHER: {"enabled": False}},
        page="/pipelines/[[Weather to Warehouse]]",
    ),
    change(
        "schedule-to-daily",
        "change the schedule of flights to daily at 6",
        "update_pipeline",
        {FLIGHTS: DAILY},
        script=(
            Step("", [("show_pipeline", {"pipeline_id": f"[[{FLIGHTS}]]"})]),
            Step("", [update(FLIGHTS, schedule={"cron": "0 6 * * *"})]),
            say("It runs daily at 6:00."),
        ),
    ),
    change(
        "schedule-to-an-interval",
        "run flights every 12 hours",
        "update_pipeline",
        {FLIGHTS: {"interval_seconds": 43_200}},
    ),
    change(
        "add-a-schedule",
        "schedule weather daily at 6",
        "update_pipeline",
        {WEATHER: {"cron": "0 6 * * *", "timezone": "UTC"}},
    ),
    change(
        "remove-the-schedule",
        "remove the schedule of flights",
        "update_pipeline",
        {FLIGHTS: {"interval_seconds": None, "timezone": None}},
    ),
    change(
        "time-limit",
        "Give weather a time limit of ten minutes",
        "update_pipeline",
        {WEATHER: {"timeout_seconds": 600}},
        is_guided=False,
        script=(Step("", [update(WEATHER, timeout_seconds=600)]), say("It is ten minutes.")),
    ),
    change(
        "edited-by-the-user",
        "Give weather a time limit of ten minutes",
        "update_pipeline",
        {WEATHER: {"timeout_seconds": 900}},
        is_guided=False,
        decide=_give_more_time,
        script=(Step("", [update(WEATHER, timeout_seconds=600)]), say("It is fifteen minutes.")),
    ),
    Case(
        name="change-two-in-one-answer",
        group=Group.CHANGE,
        messages=["Disable flights and weather"],
        is_guided=False,
        approves=["set_pipeline_enabled", "set_pipeline_enabled"],
        changes={FLIGHTS: {"enabled": False}, WEATHER: {"enabled": False}},
        script=(
            Step("", [enable(FLIGHTS, enabled=False), enable(WEATHER, enabled=False)]),
            say("Both are disabled."),
        ),
    ),
    change(
        "write-mode",
        "Let flights append its rows instead of replacing them",
        "update_pipeline",
        {FLIGHTS: {"write_mode": "append"}},
        is_guided=False,
        script=(
            Step("", [update(FLIGHTS, streams=[{"write_mode": "append"}])]),
            say("It appends."),
        ),
    ),
    Case(
        name="change-rejected",
        group=Group.CHANGE,
        messages=["disable flights"],
        rejects=["set_pipeline_enabled"],
        never_says=["is disabled."],
        script=(Step("", [enable(FLIGHTS, enabled=False)]), say("I have changed nothing.")),
    ),
    Case(
        name="change-only-one-of-two",
        group=Group.CHANGE,
        messages=["Disable flights and delete weather"],
        is_guided=False,
        approves=["set_pipeline_enabled"],
        rejects=["delete_pipeline"],
        changes={FLIGHTS: {"enabled": False}},
        script=(
            Step(
                "",
                [
                    enable(FLIGHTS, enabled=False),
                    ("delete_pipeline", {"pipeline_id": f"[[{WEATHER}]]"}),
                ],
            ),
            say("Only flights was disabled."),
        ),
    ),
    Case(
        name="change-nothing-that-is-so-already",
        group=Group.CHANGE,
        messages=["enable flights"],
        says=["already enabled"],
        script=(say("Flights to Parquet is already enabled."),),
    ),
    Case(
        name="delete-a-pipeline",
        group=Group.CHANGE,
        messages=["delete the orders pipeline"],
        approves=["delete_pipeline"],
        deletes=[ORDERS],
        script=(
            Step("", [("delete_pipeline", {"pipeline_id": f"[[{ORDERS}]]"})]),
            say("It is deleted."),
        ),
    ),
    Case(
        name="delete-an-unused-connector",
        group=Group.CHANGE,
        messages=["Delete the connector Old numbers"],
        is_guided=False,
        prepare=_add_unused_connector,
        approves=["delete_connector"],
        deletes=["Old numbers"],
        script=(
            Step("", [("delete_connector", {"connector_id": "[[Old numbers]]"})]),
            say("It is deleted."),
        ),
    ),
    Case(
        name="delete-a-used-connector-is-not-possible",
        group=Group.CHANGE,
        messages=["Delete the connector Warehouse"],
        is_guided=False,
        wording="says that the connector was not deleted because pipelines use it",
        script=(
            Step("", [("delete_connector", {"connector_id": "[[Warehouse]]"})]),
            say("Pipelines use it, so it was not deleted."),
        ),
    ),
)
