"""Requests that leave something out, or that can mean several things. The agent asks, with choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evaluations.case import Case, Group, NewPipeline, Step
from evaluations.cases.scripted import propose, proposed, say
from evaluations.scene import Scene

SIX_HOURS = 21_600
FLIGHTS, SHOP = "Flights database", "Shop database"
PARQUET, WAREHOUSE = "Parquet files", "Warehouse"


def ask(
    name: str,
    message: str,
    asks: Sequence[str],
    answers: Sequence[str],
    pipeline: NewPipeline,
    **fields: Any,
) -> Case:
    """Return a case in which the answers to the questions complete the request for this pipeline."""
    return Case(
        name=f"ask-{name}",
        group=Group.ASK,
        messages=[message],
        asks=asks,
        answers=answers,
        approves=["create_pipelines"],
        creates=[pipeline],
        **fields,
    )


def _add_second_flights(scene: Scene) -> None:
    scene.add_pipeline("Flights to Warehouse", FLIGHTS, "flights", WAREHOUSE)


CASES = (
    ask(
        "for-the-destination",
        "copy airlines from Flights database every 6 hours",
        [WAREHOUSE, PARQUET],
        [WAREHOUSE],
        NewPipeline(FLIGHTS, "airlines", WAREHOUSE, interval_seconds=SIX_HOURS),
        script=(
            Step("", [("ask", {"question": "Where to?", "choices": [PARQUET, WAREHOUSE]})]),
            propose(
                proposed(
                    *("Airlines", FLIGHTS, "airlines", WAREHOUSE), {"interval_seconds": SIX_HOURS}
                )
            ),
            say("Created Airlines."),
        ),
    ),
    ask(
        "for-the-source",
        "copy planes to Parquet files every 6 hours",
        [FLIGHTS, SHOP],
        ["shop"],
        NewPipeline(SHOP, "planes", PARQUET, interval_seconds=SIX_HOURS),
    ),
    ask(
        "for-the-stream",
        "copy from Shop database to Parquet files every 6 hours",
        ["orders", "order_items", "planes"],
        ["order_items"],
        NewPipeline(SHOP, "order_items", PARQUET, interval_seconds=SIX_HOURS),
    ),
    ask(
        "for-the-schedule",
        "copy airlines from Flights database to Parquet files",
        ["when", "every hour", "by hand"],
        ["daily at 6"],
        NewPipeline(FLIGHTS, "airlines", PARQUET, cron="0 6 * * *"),
        script=(
            Step("", [("ask", {"question": "When?", "choices": ["Every hour", "By hand"]})]),
            propose(proposed("Airlines", FLIGHTS, "airlines", PARQUET, {"cron": "0 6 * * *"})),
            say("Created Airlines."),
        ),
    ),
    ask(
        "about-a-schedule-that-is-too-short",
        "copy airlines from Flights database to Parquet files every 5 seconds",
        ["every hour"],
        ["hourly"],
        NewPipeline(FLIGHTS, "airlines", PARQUET, interval_seconds=3600),
    ),
    ask(
        "about-an-unknown-destination",
        "copy airlines from Flights database to S3 every 6 hours",
        [WAREHOUSE, PARQUET],
        ["parquet files"],
        NewPipeline(FLIGHTS, "airlines", PARQUET, interval_seconds=SIX_HOURS),
    ),
    ask(
        "about-an-unknown-stream",
        "copy customers from Shop database to Parquet files every 6 hours",
        ["customers", "orders"],
        ["planes"],
        NewPipeline(SHOP, "planes", PARQUET, interval_seconds=SIX_HOURS),
    ),
    ask(
        "for-a-number-of-the-choices",
        "copy airlines from Flights database every 6 hours",
        [WAREHOUSE],
        ["1"],
        NewPipeline(FLIGHTS, "airlines", PARQUET, interval_seconds=SIX_HOURS),
    ),
    Case(
        name="ask-which-pipeline",
        group=Group.ASK,
        messages=["disable flights"],
        prepare=_add_second_flights,
        asks=["Flights to Parquet", "Flights to Warehouse"],
        answers=["Flights to Warehouse"],
        approves=["set_pipeline_enabled"],
        changes={"Flights to Warehouse": {"enabled": False}},
    ),
    Case(
        name="ask-and-be-told-to-forget-it",
        group=Group.ASK,
        messages=["copy airlines from Flights database every 6 hours"],
        asks=[WAREHOUSE],
        answers=["never mind"],
        script=(
            Step("", [("ask", {"question": "To Warehouse?", "choices": [WAREHOUSE]})]),
            say("I have done nothing."),
        ),
    ),
)
