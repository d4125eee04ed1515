"""Pipelines of several streams and with patterns: what their cards show, and how they are changed."""

from __future__ import annotations

from typing import Any

import pytest

from apps.agent.tools.stream_facts import MAX_SHOWN
from apps.orgs.exceptions import Invalid, PermissionMissing
from apps.orgs.models import AuditEvent
from apps.orgs.roles import Role
from apps.pipelines.history import versions
from apps.pipelines.models import Pipeline
from tests.agent.tools.test_stream_names import own_database
from tests.agent.tools.use import card, error_code, use
from tests.pipelines.test_patterns import Database, listed
from tests.world import World, make_connector, make_world


@pytest.fixture
def shop(world: World) -> Database:
    """A source whose list of streams is stored, and a destination."""
    return Database(
        world, *listed("orders", "customers", "sales.returns", "orders_tmp"), *listed("logs", cursors=())
    )  # fmt: skip


def proposal(shop: Database, **parts: Any) -> dict[str, Any]:
    return {
        "name": "Shop to Warehouse",
        "source_connector_id": str(shop.source.pk),
        "destination_connector_id": str(shop.destination.pk),
        **parts,
    }


def shown(world: World, *pipelines: dict[str, Any]) -> Any:
    return card(world, "create_pipelines", pipelines=list(pipelines))


def facts_of(shown_card: Any) -> dict[str, str]:
    return {fact["label"]: fact["value"] for fact in shown_card["facts"]}


def create(world: World, shop: Database, **parts: Any) -> str:
    answer = use(world, "create_pipelines", pipelines=[proposal(shop, **parts)])
    assert answer.ok, answer.content
    return str(answer.content["pipelines"][0]["id"])


def change(world: World, pipeline_id: str, **arguments: Any) -> Any:
    return use(world, "update_pipeline", pipeline_id=pipeline_id, **arguments)


def definition_of(world: World, pipeline_id: str) -> Any:
    with world.scope():
        pipeline = Pipeline.objects.for_org(world.org).get(pk=pipeline_id)
        return versions.current_definition(world.org, pipeline).document


def streams_of(world: World, pipeline_id: str) -> dict[str, str]:
    """Return {name: state} of the streams, as the agent reads them."""
    answer = use(world, "show_pipeline", pipeline_id=pipeline_id, part="streams")
    assert answer.ok, answer.content
    return {row["stream"]: row["state"] for row in answer.content["streams"]}


def test_the_card_of_a_pipeline_with_several_streams_shows_what_each_becomes(
    world: World, shop: Database
) -> None:
    streams = [
        {"stream": "orders", "table": "raw_orders"},
        {
            "stream": "customers",
            "sync_mode": "incremental",
            "cursor_field": "id",
            "fields": [{"field": "email", "protect": "hash"}, {"field": "note", "drop": True}],
            "contract": "freeze",
        },
    ]
    found = shown(world, proposal(shop, streams=streams))

    assert facts_of(found)["Streams"] == "2 streams"
    assert "Stream" not in facts_of(found)
    (listing,) = found["streams"]
    assert (listing["title"], listing["count"]) == ("Shop to Warehouse", 2)
    assert listing["rows"] == [
        {
            "stream": "orders",
            "table": "raw_orders",
            "reads": "Full refresh",
            "writes": "Overwrite table",
            "rules": "",
        },
        {
            "stream": "customers",
            "table": "customers",
            "reads": "Incremental, cursor id",
            "writes": "Append",
            "rules": "Fields: email: hash; note: drop; New and changed columns: Fail the run",
        },
    ]


def test_the_card_of_patterns_shows_the_streams_that_they_choose_now(
    world: World, shop: Database
) -> None:
    patterns = {"match": ["*", "!*_tmp"], "sync_mode": "incremental", "cursor_field": "id"}
    whole = proposal(shop, patterns=patterns, naming="raw.{schema}_{table}", new_streams="ask")
    found = shown(world, whole)

    facts = facts_of(found)
    assert facts["Streams"] == "4 streams"
    assert facts["Patterns"] == "*, !*_tmp"
    assert facts["New streams"] == "Ask first"
    assert facts["Destination tables"] == "raw.{schema}_{table}"
    rows = {row["stream"]: row for row in found["streams"][0]["rows"]}
    assert rows["sales.returns"]["table"] == "raw.sales_returns"
    assert rows["orders"]["writes"] == "Merge on primary key"
    assert rows["logs"]["reads"] == "Full refresh", "it has no column that grows"


def test_the_card_lists_a_source_whose_streams_nobody_has_listed(
    world: World, settings: Any
) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = True
    source = make_connector(world, name="shop", kind="postgres", config=own_database())
    log = make_connector(world, role="destination", kind="logger", name="log")
    whole = {
        "name": "Agent",
        "source_connector_id": str(source.pk),
        "destination_connector_id": str(log.pk),
        "patterns": {"match": ["public.agent_*", "!public.agent_call"]},
    }
    found = shown(world, whole)

    names = [row["stream"] for row in found["streams"][0]["rows"]]
    assert "agent_turn" in names
    assert "agent_call" not in names
    assert not any(name.startswith("pipelines") for name in names)


def test_patterns_that_choose_nothing_are_refused_with_the_names_of_streams(
    world: World, shop: Database
) -> None:
    with pytest.raises(Invalid) as caught:
        shown(world, proposal(shop, patterns={"match": ["invoices*"]}))
    ((field, message, _),) = caught.value.errors
    assert field == "pipelines.0.patterns.match"
    assert "it has orders, customers, sales.returns" in message


@pytest.mark.long  # the source is asked for sizes for two seconds
def test_a_very_long_list_of_streams_is_cut_on_the_card_and_counted(
    world: World, shop: Database
) -> None:
    shop.list(*listed(*(f"table_{number}" for number in range(1000))))
    found = shown(world, proposal(shop, patterns={"match": ["*"]}))

    (listing,) = found["streams"]
    assert listing["count"] == 1000
    assert len(listing["rows"]) == MAX_SHOWN


def test_streams_whose_tables_are_taken_get_other_tables_unless_they_were_named(
    world: World, shop: Database
) -> None:
    create(world, shop, streams=[{"stream": "orders"}, {"stream": "customers"}])
    again = {"name": "Again", "streams": [{"stream": "orders"}, {"stream": "logs"}]}
    rows = shown(world, proposal(shop, **again))["streams"][0]["rows"]
    assert [row["table"] for row in rows] == ["orders_2", "logs"]

    named = {"name": "Again", "streams": [{"stream": "orders", "table": "orders"}]}
    with pytest.raises(Invalid, match="writes to this table"):
        shown(world, proposal(shop, **named))

    whole = shown(world, proposal(shop, name="Whole", patterns={"match": ["public.*"]}))
    assert facts_of(whole)["Destination tables"] == "copy_{schema}_{table}"


def test_an_error_in_a_rule_for_a_field_names_the_argument(world: World, shop: Database) -> None:
    rules = [{"field": "a", "drop": True}, {"field": "a", "protect": "hash"}]
    with pytest.raises(Invalid) as caught:
        shown(world, proposal(shop, streams=[{"stream": "orders", "fields": rules}]))
    assert caught.value.errors[0][0] == "pipelines.0.streams.0.fields.1.field"


def test_streams_are_added_and_removed_and_the_card_says_what_they_become(
    world: World, shop: Database
) -> None:
    pipeline_id = create(world, shop, streams=[{"stream": "orders"}, {"stream": "customers"}])
    arguments = {"add_streams": [{"stream": "logs"}], "remove_streams": ["public.orders"]}
    found: Any = card(world, "update_pipeline", pipeline_id=pipeline_id, **arguments)
    assert found["changes"] == [
        {
            "field": "streams.added",
            "before": None,
            "after": ["logs to logs (Full refresh, Overwrite table)"],
        },
        {
            "field": "streams.removed",
            "before": ["orders to orders (Full refresh, Overwrite table)"],
            "after": None,
        },
    ]
    assert streams_of(world, pipeline_id) == {"orders": "included", "customers": "included"}

    assert change(world, pipeline_id, **arguments).ok
    assert streams_of(world, pipeline_id) == {"customers": "included", "logs": "included"}
    with world.scope():
        event = AuditEvent.objects.for_org(world.org).latest("pk")
    assert (event.action, event.actor_kind) == ("pipeline.update", "agent")


def test_one_of_several_streams_is_changed_by_its_name(world: World, shop: Database) -> None:
    pipeline_id = create(world, shop, streams=[{"stream": "orders"}, {"stream": "customers"}])
    hashed = {"stream": "customers", "fields": [{"field": "email", "protect": "hash"}]}
    found: Any = card(world, "update_pipeline", pipeline_id=pipeline_id, streams=[hashed])
    assert found["changes"] == [
        {
            "field": "streams.1.fields.others",
            "before": None,
            "after": "keep",
            "stream": "customers",
        },
        {
            "field": "streams.1.fields.rules",
            "before": None,
            "after": [{"field": "email", "protect": "hash"}],
            "stream": "customers",
        },
    ]
    answer = change(world, pipeline_id, streams=[hashed])
    assert answer.summary == "Changed the rules for fields of the pipeline Shop to Warehouse."

    dropped = {"stream": "customers", "fields": [{"field": "note", "drop": True}]}
    kept = {"stream": "customers", "fields": [{"field": "email"}]}
    change(world, pipeline_id, streams=[dropped])
    change(world, pipeline_id, streams=[kept])
    orders, customers = definition_of(world, pipeline_id)["streams"]
    assert "fields" not in orders
    assert customers["fields"]["rules"] == [{"field": "note", "drop": True}]


def test_the_stream_to_change_must_be_named_and_read(world: World, shop: Database) -> None:
    pipeline_id = create(world, shop, streams=[{"stream": "orders"}, {"stream": "customers"}])
    for arguments, message in (
        ({"streams": [{"table": "x"}]}, "name the one to change"),
        ({"streams": [{"stream": "logs", "table": "x"}]}, "add_streams"),
        ({"remove_streams": ["logs"]}, "does not read this stream"),
        ({"add_streams": [{"stream": "public.orders"}]}, "reads this stream already"),
    ):
        answer = change(world, pipeline_id, **arguments)
        assert error_code(answer) == "invalid"
        assert message in str(answer.content["error"]["fields"])


def test_a_stream_of_patterns_is_removed_and_added_again_by_a_decision(
    world: World, shop: Database
) -> None:
    pipeline_id = create(world, shop, patterns={"match": ["public.*"]})
    found: Any = card(
        world, "update_pipeline", pipeline_id=pipeline_id, remove_streams=["customers"]
    )
    assert [each["field"] for each in found["changes"]] == ["streams.removed"]
    assert change(world, pipeline_id, remove_streams=["customers"]).ok
    assert streams_of(world, pipeline_id)["customers"] == "ignored"
    assert change(world, pipeline_id, add_streams=[{"stream": "customers"}]).ok
    assert streams_of(world, pipeline_id)["customers"] == "included"


def test_a_stream_of_patterns_with_settings_of_its_own_is_named_from_then_on(
    world: World, shop: Database
) -> None:
    pipeline_id = create(world, shop, patterns={"match": ["*"]}, naming="raw_{table}")
    hashed = {"stream": "customers", "fields": [{"field": "email", "protect": "hash"}]}
    answer = change(world, pipeline_id, streams=[hashed])
    assert {each["field"].partition(".")[2] for each in answer.content["changes"]} == {
        "0.fields.others",
        "0.fields.rules",
    }
    (customers,) = definition_of(world, pipeline_id)["streams"]
    assert (customers["table"], customers["primary_key"]) == ("raw_customers", ["id"])

    change(world, pipeline_id, remove_streams=["customers"])
    assert definition_of(world, pipeline_id)["patterns"]["match"] == ["*", "!public.customers"]
    assert "customers" not in streams_of(world, pipeline_id)


def test_the_choice_of_snapshots_is_proposed_changed_and_set_back(
    world: World, shop: Database
) -> None:
    streams = [{"stream": "orders"}, {"stream": "customers"}]
    each = proposal(shop, streams=streams, snapshot={"scope": "stream"})
    assert facts_of(shown(world, each))["Snapshots"] == "One for each stream"

    pipeline_id = create(world, shop, streams=streams)
    changes = change(world, pipeline_id, snapshot={"scope": "run", "retry": "all"}).content
    assert {row["field"] for row in changes["changes"]} == {"snapshot.scope", "snapshot.retry"}
    assert change(world, pipeline_id, snapshot={"scope": "stream"}).ok
    assert definition_of(world, pipeline_id)["snapshot"] == {"scope": "stream", "retry": "all"}
    assert change(world, pipeline_id, snapshot={"scope": "auto", "retry": "remaining"}).ok
    assert "snapshot" not in definition_of(world, pipeline_id)


def test_a_change_of_patterns_shows_all_streams_after_it(world: World, shop: Database) -> None:
    pipeline_id = create(world, shop, streams=[{"stream": "orders"}])
    found: Any = card(
        world,
        "update_pipeline",
        pipeline_id=pipeline_id,
        patterns={"match": ["sales.*"]},
        new_streams="ignore",
    )
    assert {each["field"] for each in found["changes"]} >= {"patterns.match", "streams.added"}
    assert [row["stream"] for row in found["streams"][0]["rows"]] == ["orders", "sales.returns"]


def test_a_stranger_and_a_viewer_change_no_streams(
    world: World, stranger: World, shop: Database
) -> None:
    pipeline_id = create(world, shop, streams=[{"stream": "orders"}, {"stream": "customers"}])
    arguments: dict[str, Any] = {"pipeline_id": pipeline_id, "remove_streams": ["orders"]}
    assert error_code(use(stranger, "update_pipeline", **arguments)) == "not_found"
    assert error_code(use(world, "update_pipeline", Role.VIEWER, **arguments)) == "not_allowed"
    with pytest.raises(PermissionMissing):
        card(world, "create_pipelines", Role.VIEWER, pipelines=[proposal(shop, patterns={"match": ["*"]})])  # fmt: skip
    other = Database(make_world(), *listed("orders"))
    with pytest.raises(Invalid):
        shown(world, proposal(other, patterns={"match": ["*"]}))
