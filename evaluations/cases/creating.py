"""Requests for new pipelines."""

from __future__ import annotations

from evaluations.case import Case, Group, NewPipeline, Step

SIX_HOURS = 21_600
FLIGHTS = NewPipeline(
    "Flights database", "airlines", "Parquet files", interval_seconds=SIX_HOURS, timezone="UTC"
)

CASES = (
    Case(
        name="create-one-with-everything-said",
        group=Group.CREATE,
        messages=["copy airlines from Flights database to Parquet files every 6 hours"],
        approves=["create_pipelines"],
        creates=[FLIGHTS],
        says=["created"],
        script=[
            Step("I look. ", [("list_connectors", {})]),
            Step("", [("list_streams", {"connector_id": "[[Flights database]]"})]),
            Step(
                "I propose this. ",
                [
                    (
                        "create_pipelines",
                        {
                            "pipelines": [
                                {
                                    "name": "Airlines",
                                    "source_connector_id": "[[Flights database]]",
                                    "destination_connector_id": "[[Parquet files]]",
                                    "streams": [{"stream": "airlines"}],
                                    "schedule": {"interval_seconds": SIX_HOURS},
                                }
                            ]
                        },
                    )
                ],
            ),
            Step("Created Airlines. It is disabled."),
        ],
    ),
    Case(
        name="create-asks-for-the-destination",
        group=Group.ASK,
        messages=["copy airlines from Flights database every 6 hours"],
        answers=["Warehouse"],
        asks=["Warehouse", "Parquet files"],
        approves=["create_pipelines"],
        creates=[
            NewPipeline("Flights database", "airlines", "Warehouse", interval_seconds=SIX_HOURS)
        ],
    ),
)
