"""Pipelines of several streams and of whole databases: proposed, changed and explained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

from apps.engine.source_columns import SourceColumns
from apps.pipelines.drift import recording
from apps.runs.models import RunStream, Status
from evaluations.case import Case, Group, NewPipeline, Step
from evaluations.cases.changing import change
from evaluations.cases.creating import EVERY_SIX_HOURS, SIX_HOURS, create
from evaluations.cases.scripted import call, propose, proposed, say, update
from evaluations.outcome import Outcome
from evaluations.scene import Scene
from tests.agent.conversing import Talk
from tests.agent.tools import runs as run_states

FLIGHTS_DATABASE, SHOP = "Flights database", "Shop database"
PARQUET, WAREHOUSE = "Parquet files", "Warehouse"
FLIGHTS, ORDERS, WHOLE = "Flights to Parquet", "Orders hourly", "Whole shop"
TWO = {"streams": [{"stream": "airlines"}, {"stream": "planes"}]}
FROZEN = "Planes frozen"
DECISION = (
    "decide_source_changes",
    {"pipeline_id": f"[[{FROZEN}]]", "change_ids": ["[[new column]]"], "decision": "accept"},
)
ALL = {"streams": [], "patterns": {"match": ["*"]}}
HASH_EMAIL = [{"field": "email", "protect": "hash"}]


def _add_whole_shop(scene: Scene) -> None:
    """Add a pipeline whose patterns choose all streams of the shop, which are known."""
    scene.list_streams(SHOP)
    parts = {"patterns": {"match": ["*"]}, "naming": "whole_{table}"}
    scene.add_pipeline(WHOLE, SHOP, [], WAREHOUSE, parts)


def _add_run_with_failed_stream(scene: Scene) -> None:
    """Add a run of the whole shop in which one of three streams failed."""
    _add_whole_shop(scene)
    counts = {"streams_total": 3, "streams_failed": 1, "streams_succeeded": 2}
    failure = {"failure_class": "configuration", "failure_retryable": False}
    message = "the table order_items does not exist"
    run_id = run_states.ended_run(
        scene.world,
        scene.pipeline(WHOLE),
        Status.FAILED,
        failure_message=f"1 stream of 3 failed. order_items: {message}",
        **failure,
        **counts,
    )
    scene.ids["run of the shop"] = str(run_id)
    with scene.world.scope():
        RunStream.objects.for_org(scene.world.org).filter(run_id=run_id).delete()
        for position, name in enumerate(("orders", "order_items", "planes")):
            is_failed = name == "order_items"
            RunStream.unscoped.create(
                org=scene.world.org,
                run_id=run_id,
                position=position,
                name=name,
                table=f"whole_{name}",
                status=Status.FAILED if is_failed else Status.SUCCEEDED,
                **({"failure_message": message, **failure} if is_failed else {}),
            )


def _add_new_column(scene: Scene) -> None:
    """Add a pipeline whose frozen stream has a new column at the source."""
    scene.add_pipeline(
        FROZEN, SHOP, [], WAREHOUSE, {"streams": [{"stream": "planes", "contract": "freeze"}]}
    )
    pipeline = scene.pipeline(FROZEN)
    for columns in ({"id": "integer"}, {"id": "integer", "seats": "integer"}):
        with scene.world.scope():
            changes = recording.record(
                org_id=scene.world.org.pk,
                pipeline_id=pipeline.pk,
                run_id=uuid4(),
                found={"planes": SourceColumns(columns, ["id"], is_complete=True)},
            )
    scene.ids["new column"] = str(changes[0].pk)


def _leave_out_planes(scene: Scene, talk: Talk, request: Any) -> Mapping[str, Any] | None:
    """Leave out one of the streams of the proposal, and approve it."""
    (pipeline,) = request["arguments"]["pipelines"]
    streams = [each for each in pipeline["streams"] if each["stream"] != "planes"]
    return {"decision": "edit", "arguments": {"pipelines": [{**pipeline, "streams": streams}]}}


def _card_lists(*streams: str) -> Any:
    """Return the check that a card has listed these streams."""

    def check(outcome: Outcome) -> Iterator[str]:
        listed = [
            row["stream"]
            for item in outcome.items_of("approval")
            for each in item["card"]["streams"]
            for row in each["rows"]
        ]
        yield from (f"the card does not list {name}" for name in streams if name not in listed)

    return check


CASES = (
    create(
        "two-streams-in-one-pipeline",
        "copy airlines and planes from Flights database to Parquet files every 6 hours",
        NewPipeline(
            FLIGHTS_DATABASE,
            "airlines, planes",
            PARQUET,
            interval_seconds=SIX_HOURS,
            timezone="UTC",
        ),
        script=(
            propose({**proposed("Both", FLIGHTS_DATABASE, "", PARQUET, EVERY_SIX_HOURS), **TWO}),
            say("Created the pipeline."),
        ),
        check=_card_lists("airlines", "planes"),
    ),
    create(
        "one-pipeline-for-each-stream",
        "copy airlines and planes from Flights database to Parquet files every 6 hours in separate pipelines",
        *(
            NewPipeline(FLIGHTS_DATABASE, stream, PARQUET, interval_seconds=SIX_HOURS)
            for stream in ("airlines", "planes")
        ),
    ),
    create(
        "a-whole-database",
        "copy the whole shop database to Parquet files daily at 2",
        NewPipeline(SHOP, "", PARQUET, cron="0 2 * * *", match=("*",)),
        script=(
            call("list_streams", connector_id=f"[[{SHOP}]]"),
            propose({**proposed("Shop", SHOP, "", PARQUET, {"cron": "0 2 * * *"}), **ALL}),
            say("Created Shop."),
        ),
        check=_card_lists("orders", "order_items", "planes"),
    ),
    create(
        "all-tables-of-a-source-but-one",
        "copy all tables except planes from the shop database to Parquet files daily at 2",
        NewPipeline(SHOP, "", PARQUET, cron="0 2 * * *", match=("*", "!planes")),
        check=_card_lists("orders", "order_items"),
    ),
    create(
        "streams-that-match-a-pattern",
        "copy order* from the shop database to Parquet files by hand",
        NewPipeline(SHOP, "", PARQUET, match=("order*",)),
        check=_card_lists("orders", "order_items"),
    ),
    create(
        "a-database-by-a-naming-rule",
        "Copy all of the shop database to Parquet files, with raw_ before the names, and ask me about new tables",
        NewPipeline(SHOP, "", PARQUET, match=("*",)),
        is_guided=False,
        script=(
            propose(
                {
                    **proposed("Shop", SHOP, "", PARQUET),
                    **ALL,
                    "naming": "raw_{table}",
                    "new_streams": "ask",
                }
            ),
            say("Created Shop."),
        ),
    ),
    create(
        "without-the-stream-that-the-user-leaves-out",
        "copy airlines and planes from Flights database to Parquet files every 6 hours",
        NewPipeline(FLIGHTS_DATABASE, "airlines", PARQUET, interval_seconds=SIX_HOURS),
        decide=_leave_out_planes,
        script=(
            propose({**proposed("Both", FLIGHTS_DATABASE, "", PARQUET, EVERY_SIX_HOURS), **TWO}),
            say("Created the pipeline with airlines."),
        ),
    ),
    change(
        "add-a-stream",
        "add airlines to flights",
        "update_pipeline",
        {FLIGHTS: {"stream": "flights, airlines"}},
        script=(
            Step("", [update(FLIGHTS, add_streams=[{"stream": "airlines"}])]),
            say("It reads airlines too."),
        ),
    ),
    Case(
        name="change-add-a-stream-and-stop-copying-it",
        group=Group.CHANGE,
        messages=["add airlines and planes to flights", "stop copying planes"],
        approves=["update_pipeline", "update_pipeline"],
        changes={FLIGHTS: {"stream": "flights, airlines"}},
        says=["does not read planes"],
    ),
    Case(
        name="change-undo-an-added-stream",
        group=Group.CHANGE,
        messages=["add airlines to flights", "undo it"],
        approves=["update_pipeline", "restore_pipeline_version"],
        says=["undone"],
    ),
    Case(
        name="change-stop-copying-a-stream-of-patterns",
        group=Group.CHANGE,
        prepare=_add_whole_shop,
        messages=["stop copying planes in Whole shop"],
        approves=["update_pipeline"],
        says=["does not read planes"],
        script=(
            Step("", [("show_pipeline", {"pipeline_id": f"[[{WHOLE}]]", "part": "streams"})]),
            Step("", [update(WHOLE, remove_streams=["planes"])]),
            say("It does not read planes any more."),
        ),
    ),
    change(
        "exclude-streams-from-patterns",
        "exclude *_items from Whole shop",
        "update_pipeline",
        {WHOLE: {"match": ("*", "!*_items")}},
        prepare=_add_whole_shop,
    ),
    change(
        "hash-a-column",
        'hash the email column of orders in "Orders hourly"',
        "update_pipeline",
        {ORDERS: {"rules": {"orders": ["email: hash"]}}},
        script=(
            Step("", [update(ORDERS, streams=[{"stream": "orders", "fields": HASH_EMAIL}])]),
            say("The emails are hashed."),
        ),
    ),
    change(
        "drop-columns-of-a-stream-of-patterns",
        "drop the columns note and phone of orders in Whole shop",
        "update_pipeline",
        {
            WHOLE: {
                "stream": "orders",
                "table": "whole_orders",
                "write_mode": "replace",
                "rules": {"orders": ["note: drop", "phone: drop"]},
            }
        },
        prepare=_add_whole_shop,
    ),
    change(
        "accept-a-new-column",
        "accept the changes of Planes frozen",
        "decide_source_changes",
        {FROZEN: {"rules": {"planes": ["seats: keep"]}}},
        prepare=_add_new_column,
        script=(
            Step(
                "", [("show_pipeline", {"pipeline_id": f"[[{FROZEN}]]", "part": "source_changes"})]
            ),
            Step("", [DECISION]),
            say("The new column seats arrives from the next run on."),
        ),
    ),
    Case(
        name="explain-what-has-changed-at-the-source",
        group=Group.EXPLAIN,
        messages=["what has changed at the source of Planes frozen?"],
        prepare=_add_new_column,
        calls=[("show_pipeline", {"pipeline_id": f"[[{FROZEN}]]", "part": "source_changes"})],
        says=["planes", "seats", "fails runs"],
        script=(
            Step(
                "", [("show_pipeline", {"pipeline_id": f"[[{FROZEN}]]", "part": "source_changes"})]
            ),
            say("planes has a new column seats, which fails runs."),
        ),
    ),
    Case(
        name="explain-which-stream-failed",
        group=Group.EXPLAIN,
        messages=["why is Whole shop failing?"],
        prepare=_add_run_with_failed_stream,
        calls=[("explain_pipeline", {"pipeline_id": f"[[{WHOLE}]]"})],
        says=["1 of 3 streams failed", "order_items", "does not exist"],
        script=(
            Step("", [("explain_pipeline", {"pipeline_id": f"[[{WHOLE}]]"})]),
            Step(
                "",
                [
                    (
                        "show_run",
                        {"run_id": "[[run of the shop]]", "part": "streams", "status": "failed"},
                    )
                ],
            ),
            say("1 of 3 streams failed: the table order_items does not exist."),
        ),
    ),
    change(
        "freeze-a-stream-of-patterns",
        "Let no new columns of orders into Whole shop",
        "update_pipeline",
        {
            WHOLE: {
                "stream": "orders",
                "table": "whole_orders",
                "write_mode": "replace",
                "contracts": {"orders": "freeze"},
            }
        },
        prepare=_add_whole_shop,
        is_guided=False,
        script=(
            Step("", [update(WHOLE, streams=[{"stream": "orders", "contract": "freeze"}])]),
            say("A new column of orders fails the run now."),
        ),
    ),
)
