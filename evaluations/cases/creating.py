"""Requests for new pipelines that say everything that is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evaluations.case import Case, Group, NewPipeline, Step
from evaluations.cases.scripted import call, enable, propose, proposed, say
from evaluations.scene import Scene
from tests.agent.conversing import Talk

HOUR, SIX_HOURS = 3600, 21_600
FLIGHTS, SHOP = "Flights database", "Shop database"
PARQUET, WAREHOUSE = "Parquet files", "Warehouse"
AIRLINES = NewPipeline(FLIGHTS, "airlines", PARQUET, interval_seconds=SIX_HOURS, timezone="UTC")
EVERY_SIX_HOURS = {"interval_seconds": SIX_HOURS}
MERGED_ORDERS = {
    "table": "shop_orders",
    "sync_mode": "incremental",
    "cursor_field": "updated_at",
    "primary_key": ["id"],
    "write_mode": "merge",
}
AIRLINES_SCRIPT = (
    Step("I look. ", [("list_connectors", {})]),
    call("list_streams", connector_id=f"[[{FLIGHTS}]]"),
    propose(proposed("Airlines", FLIGHTS, "airlines", PARQUET, EVERY_SIX_HOURS)),
    say("Created Airlines. It is disabled."),
)


def create(
    name: str,
    message: str,
    *creates: NewPipeline,
    script: Sequence[Step] = (),
    is_guided: bool = True,
    **expected: Any,
) -> Case:
    """Return a case in which one message makes these pipelines after one approval."""
    return Case(
        name=f"create-{name}",
        group=Group.CREATE,
        messages=[message],
        approves=["create_pipelines"],
        creates=creates,
        script=script,
        is_guided=is_guided,
        **expected,
    )


def rename_proposal(scene: Scene, talk: Talk, request: Any) -> Mapping[str, Any] | None:
    """Edit the name in the proposal, and approve it."""
    pipelines = [{**pipeline, "name": "Carriers"} for pipeline in request["arguments"]["pipelines"]]
    return {"decision": "edit", "arguments": {"pipelines": pipelines}}


CASES = (
    create(
        "with-everything-said",
        "copy airlines from Flights database to Parquet files every 6 hours",
        AIRLINES,
        script=AIRLINES_SCRIPT,
        says=["created"],
        wording="says that the pipeline was created and is disabled",
    ),
    create(
        "schedule-first",
        "every 6 hours copy airlines from Flights database into the warehouse",
        NewPipeline(FLIGHTS, "airlines", WAREHOUSE, interval_seconds=SIX_HOURS),
    ),
    create(
        "politely",
        "Could you please copy the table planes from the Shop database to Warehouse daily at 6?",
        NewPipeline(SHOP, "planes", WAREHOUSE, cron="0 6 * * *", timezone="UTC"),
    ),
    create(
        "weekdays-in-another-time-zone",
        "copy weather from Weather API to Parquet files weekdays at 7:30 in Berlin",
        NewPipeline(
            "Weather API", "weather", PARQUET, cron="30 7 * * 1-5", timezone="Europe/Berlin"
        ),
        script=(
            call("list_connectors"),
            call("next_times", schedule="weekdays at 7:30 in Berlin"),
            propose(
                proposed(
                    *("Weather files", "Weather API", "weather", PARQUET),
                    {"cron": "30 7 * * 1-5", "timezone": "Europe/Berlin"},
                )
            ),
            say("Created Weather files."),
        ),
    ),
    create(
        "hourly",
        "replicate order_items from Shop database to Warehouse hourly",
        NewPipeline(SHOP, "order_items", WAREHOUSE, interval_seconds=HOUR),
    ),
    create(
        "every-monday",
        "load airlines from Flights database into Warehouse every monday at 9",
        NewPipeline(FLIGHTS, "airlines", WAREHOUSE, cron="0 9 * * 1"),
    ),
    create(
        "with-a-cron-expression",
        "copy weather from Weather API to Parquet files cron */5 8-18 * * 1-5",
        NewPipeline("Weather API", "weather", PARQUET, cron="*/5 8-18 * * 1-5"),
    ),
    create(
        "without-a-schedule",
        "export airlines from Flights database to Parquet files by hand",
        NewPipeline(FLIGHTS, "airlines", PARQUET),
    ),
    create(
        "finds-the-source-of-a-stream",
        "copy order_items to Warehouse every hour",
        NewPipeline(SHOP, "order_items", WAREHOUSE, interval_seconds=HOUR),
    ),
    create(
        "with-table-and-write-mode",
        "copy airlines from Flights database to Warehouse as carriers with append by hand",
        NewPipeline(FLIGHTS, "airlines", WAREHOUSE, table="carriers", write_mode="append"),
    ),
    create(
        "incrementally-with-merge",
        "copy orders from Shop database to Warehouse as shop_orders incrementally with merge called Shop orders every"
        " 6 hours",
        NewPipeline(
            *(SHOP, "orders", WAREHOUSE),
            interval_seconds=SIX_HOURS,
            name="Shop orders",
            sync_mode="incremental",
            cursor_field="updated_at",
            table="shop_orders",
            write_mode="merge",
        ),
        script=(
            call("list_streams", connector_id=f"[[{SHOP}]]", search="orders"),
            propose(
                proposed("Shop orders", SHOP, "orders", WAREHOUSE, EVERY_SIX_HOURS, **MERGED_ORDERS)
            ),
            say("Created Shop orders."),
        ),
    ),
    create(
        "with-a-name",
        "create a pipeline called Aircraft from Weather API to Parquet files by hand",
        NewPipeline("Weather API", "weather", PARQUET, name="Aircraft"),
    ),
    create(
        "beside-a-pipeline-of-the-same-name",
        'create a pipeline called "Flights to Parquet" from Weather API to Parquet files by hand',
        NewPipeline("Weather API", "weather", PARQUET, name="Flights to Parquet 2"),
    ),
    create(
        "after-a-wrong-interval",
        "copy airlines from Flights database to Parquet files every 6 hours",
        AIRLINES,
        script=(
            propose(
                proposed("Airlines", FLIGHTS, "airlines", PARQUET, {"interval_seconds": 6}),
            ),
            propose(proposed("Airlines", FLIGHTS, "airlines", PARQUET, EVERY_SIX_HOURS)),
            say("Created Airlines."),
        ),
        is_guided=False,
    ),
    Case(
        name="create-and-enable",
        group=Group.CREATE,
        messages=[
            "create a pipeline called Airlines from Flights database to Parquet files for airlines every 6 hours",
            "enable it",
        ],
        is_guided=False,
        approves=["create_pipelines", "set_pipeline_enabled"],
        creates=[
            NewPipeline(FLIGHTS, "airlines", PARQUET, interval_seconds=SIX_HOURS, enabled=True)
        ],
        script=(*AIRLINES_SCRIPT, Step("", [enable("Airlines")]), say("Airlines is enabled.")),
    ),
    Case(
        name="create-and-enable-what-was-created",
        group=Group.CREATE,
        messages=["copy airlines from Flights database to Parquet files hourly", "enable it"],
        approves=["create_pipelines", "set_pipeline_enabled"],
        creates=[NewPipeline(FLIGHTS, "airlines", PARQUET, interval_seconds=HOUR, enabled=True)],
    ),
    Case(
        name="create-rejected",
        group=Group.CREATE,
        messages=["copy airlines from Flights database to Parquet files every 6 hours"],
        rejects=["create_pipelines"],
        never_says=["Created Airlines"],
        script=(*AIRLINES_SCRIPT[:3], say("I have created nothing.")),
    ),
    Case(
        name="create-edited",
        group=Group.CREATE,
        messages=["copy airlines from Flights database to Parquet files every 6 hours"],
        approves=["create_pipelines"],
        decide=rename_proposal,
        creates=[
            NewPipeline(FLIGHTS, "airlines", PARQUET, interval_seconds=SIX_HOURS, name="Carriers")
        ],
        script=(*AIRLINES_SCRIPT[:3], say("Created Carriers.")),
    ),
)
