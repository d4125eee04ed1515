"""Requests to list and show what there is."""

from __future__ import annotations

from evaluations.case import Case, Group, Step

CASES = (
    Case(
        name="list-pipelines",
        group=Group.SHOW,
        messages=["Which pipelines are there?"],
        calls=[("list_pipelines", {})],
        says=["Flights to Parquet", "Weather to Warehouse", "Orders hourly"],
        script=[
            Step("I look. ", [("list_pipelines", {})]),
            Step("There are Flights to Parquet, Weather to Warehouse and Orders hourly."),
        ],
    ),
)
