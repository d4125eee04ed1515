"""The proposal of new pipelines: what its card says."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from apps.connectors import catalogue, engine
from apps.connectors.models import Connector
from apps.orgs.exceptions import Invalid, PermissionMissing
from apps.orgs.members import domains
from apps.orgs.principals import SYSTEM
from apps.orgs.roles import Role
from apps.pipelines.models import Pipeline
from apps.runs.models import Run
from tests.agent.conversing import begin
from tests.agent.tools.runs import ended_run
from tests.agent.tools.use import card, error_code, use
from tests.world import World, make_connector, make_pipeline, make_world


@pytest.fixture(scope="module", autouse=True)
def _close_supervisor_afterwards() -> Iterator[None]:
    yield
    engine.supervisor().close()
    engine.supervisor.cache_clear()


@pytest.fixture
def proposal(world: World) -> dict[str, Any]:
    """A valid proposal of one pipeline from generated numbers to the log."""
    return {
        "name": "generated",
        "source_connector_id": str(make_connector(world, name="numbers").pk),
        "destination_connector_id": str(
            make_connector(world, role="destination", kind="logger", name="log").pk
        ),
        "streams": [{"stream": "generated"}],
    }


def facts_of(world: World, proposal: dict[str, Any]) -> dict[str, str]:
    shown: Any = card(world, "create_pipelines", pipelines=[proposal])
    return {fact["label"]: fact["value"] for fact in shown["facts"]}


def test_a_proposal_without_a_table_gets_one_that_no_pipeline_writes(
    world: World, proposal: dict[str, Any]
) -> None:
    database = make_connector(world, role="destination", kind="duckdb", name="database")
    proposal = {**proposal, "destination_connector_id": str(database.pk)}
    assert facts_of(world, proposal)["Table"] == "generated"
    use(world, "create_pipelines", pipelines=[{**proposal, "name": "first"}])
    assert facts_of(world, proposal)["Table"] == "generated_2"

    named = {**proposal, "streams": [{"stream": "generated", "table": "generated"}]}
    with pytest.raises(Invalid, match="writes to this table"):
        facts_of(world, named)


def test_the_rows_to_expect_come_from_the_last_run_of_the_same_stream(
    world: World, proposal: dict[str, Any]
) -> None:
    assert facts_of(world, proposal)["Records to expect"] == "About 1,000: counted by the source"
    config = {
        "source": {"connector_id": proposal["source_connector_id"]},
        "streams": [{"stream": "generated"}],
        "destination": {"kind": "logger", "config": {}},
    }
    ended_run(world, make_pipeline(world, name="older", config=config))
    with world.scope():
        Run.objects.for_org(world.org).update(records_read=336776, iterations=12)

    other_source = {**proposal, "source_connector_id": str(make_connector(world).pk)}
    other_stream = {**proposal, "streams": [{"stream": "plants"}]}
    assert facts_of(world, other_source)["Records to expect"].startswith("About 1,000")
    assert facts_of(world, other_stream)["Records to expect"] == "About 5: counted by the source"
    facts = facts_of(world, proposal)
    assert facts["Records to expect"] == "336,776, as in the last run of older"
    assert "Requests to expect" not in facts
    with world.scope():
        connector = {"pk": proposal["source_connector_id"]}
        Connector.objects.for_org(world.org).filter(**connector).update(kind="rest")
    requests = facts_of(world, proposal)["Requests to expect"]
    assert requests == "12, one for each page, as in the last run of older"


def test_the_source_estimates_the_size_of_a_stream_that_no_pipeline_has_read(
    world: World, proposal: dict[str, Any]
) -> None:
    source = make_connector(world, config={"rows": 12_345, "page_size": 1000})
    facts = facts_of(world, {**proposal, "source_connector_id": str(source.pk)})

    assert facts["Records to expect"] == "About 12,345: counted by the source"
    assert "Requests to expect" not in facts, "the numbers are not read over HTTP"


def test_a_source_that_does_not_answer_delays_the_proposal_by_two_seconds_only(
    world: World, proposal: dict[str, Any], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = True
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts connections and never answers
        port = silent.getsockname()[1]
        config = {"host": "127.0.0.1", "port": port, "database": "shop", "user": "reader"}
        source = make_connector(world, kind="postgres", config=config)
        facts = facts_of(world, {**proposal, "source_connector_id": str(source.pk)})

        silent.settimeout(1)
        silent.accept()[0].close()  # the source was asked
    expected = "Not known before the first run: the source did not answer in 2 seconds"
    assert facts["Records to expect"] == expected


def test_the_reason_why_sizes_are_not_known_is_said_once(
    world: World, proposal: dict[str, Any], settings: Any
) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = True
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    config = {"host": "127.0.0.1", "port": port, "database": "shop", "user": "reader"}
    source = make_connector(world, name="refused", kind="postgres", config=config)
    proposals = [
        {**proposal, "name": name, "source_connector_id": str(source.pk)} for name in "abcde"
    ]
    shown: Any = card(world, "create_pipelines", pipelines=proposals)
    label = "Records to expect"
    values = [fact["value"] for fact in shown["facts"] if fact["label"] == label]
    assert values[0] == "Not known before the first run: the source cannot be read now (source)"
    assert set(values[1:]) == {"Not known before the first run, for the same reason"}
    assert len(values) == 5


def test_an_address_that_the_egress_policy_forbids_is_not_asked_for_an_estimate(
    world: World, proposal: dict[str, Any], settings: Any
) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = False
    with socket.create_server(("127.0.0.1", 0)) as private:
        port = private.getsockname()[1]
        config = {"host": "127.0.0.1", "port": port, "database": "shop", "user": "reader"}
        source = make_connector(world, kind="postgres", config=config)
        facts = facts_of(world, {**proposal, "source_connector_id": str(source.pk)})

        private.settimeout(0.2)
        with pytest.raises(TimeoutError):
            private.accept()
    assert "egress policy does not allow" in facts["Records to expect"]


def test_the_estimate_is_shown_in_a_conversation(committed_db: None) -> None:
    world = make_world()
    make_connector(world, name="Numbers", config={"rows": 10})
    make_connector(world, role="destination", kind="logger", name="Log")
    talk = begin(world)
    talk.send("copy generated from Numbers to Log by hand")
    talk.work()

    facts = {fact["label"]: fact["value"] for fact in talk.open_request()["card"]["facts"]}
    assert facts["Records to expect"] == "About 10: counted by the source"


def test_the_card_warns_of_connectors_that_are_not_known_to_work(
    world: World, proposal: dict[str, Any]
) -> None:
    shown = card(world, "create_pipelines", pipelines=[proposal, {**proposal, "name": "second"}])

    assert shown["warnings"] == [
        "The source numbers has not been checked with its settings yet.",
        "The destination log has not been checked with its settings yet.",
    ]


def test_the_card_does_not_warn_of_connectors_whose_last_run_succeeded(
    world: World, proposal: dict[str, Any]
) -> None:
    config = {
        "source": {"connector_id": proposal["source_connector_id"]},
        "streams": proposal["streams"],
        "destination": {"connector_id": proposal["destination_connector_id"]},
    }
    make_pipeline(world, name="older", config=config)
    with world.scope():
        Pipeline.objects.for_org(world.org).update(
            last_run_status="succeeded", last_run_finished_at=timezone.now()
        )
    assert card(world, "create_pipelines", pipelines=[proposal])["warnings"] == []

    with world.scope():
        Connector.objects.for_org(world.org).get(name="numbers").save()
    warnings = card(world, "create_pipelines", pipelines=[proposal])["warnings"]
    assert warnings == ["The source numbers has not been checked with its settings yet."]


def test_the_card_says_what_the_modes_need(world: World, proposal: dict[str, Any]) -> None:
    stream = {"stream": "generated", "sync_mode": "incremental", "cursor_field": "id"}
    facts = facts_of(world, {**proposal, "streams": [stream]})

    assert facts["Needs"] == "the column id grows with each new or changed row"


def test_the_next_times_are_shown_in_the_time_zone_of_the_schedule(
    world: World, proposal: dict[str, Any]
) -> None:
    schedule = {"cron": "30 7 * * 1-5", "timezone": "Europe/Berlin"}
    facts = facts_of(world, {**proposal, "schedule": schedule})
    assert facts["Schedule"] == "Weekdays at 07:30 (Europe/Berlin)"
    time = r"\d{4}-\d\d-\d\d\u00a007:30"
    assert re.fullmatch(rf"{time}, {time}, {time} \(Europe/Berlin\)", facts["Next times"])


def test_a_pipeline_is_proposed_with_all_that_a_schedule_offers(
    world: World, proposal: dict[str, Any]
) -> None:
    schedule = {
        "interval_seconds": 3600,
        "overlap": "queue",
        "misfire": "skip",
        "jitter_seconds": 60,
        "blackouts": [{"weekdays": ["sunday"], "start": "00:00", "end": "00:00"}],
        "end_date": "2099-06-30",
    }
    facts = facts_of(world, {**proposal, "schedule": schedule})
    assert facts["Schedule"] == "Every hour until 30 June 2099"
    assert facts["Blackouts"] == "Sunday"

    use(world, "create_pipelines", pipelines=[{**proposal, "schedule": schedule}])
    (row,) = world.client(Role.VIEWER).get("/api/v1/pipelines").json()["results"]
    saved = world.client(Role.VIEWER).get(f"/api/v1/pipelines/{row['id']}").json()["schedule"]
    assert {name: saved[name] for name in schedule} == schedule


def test_a_pipeline_is_proposed_in_a_domain(world: World, proposal: dict[str, Any]) -> None:
    with world.scope():
        domain = domains.create(org=world.org, by=SYSTEM, name="Marketing")

    assert facts_of(world, {**proposal, "domain_id": str(domain.pk)})["Domain"] == "Marketing"


def test_a_stranger_cannot_propose_pipelines_with_these_connectors(
    world: World, stranger: World, proposal: dict[str, Any]
) -> None:
    with pytest.raises(Invalid):
        card(stranger, "create_pipelines", pipelines=[proposal])


def test_a_viewer_cannot_propose_pipelines(world: World, proposal: dict[str, Any]) -> None:
    with pytest.raises(PermissionMissing):
        card(world, "create_pipelines", Role.VIEWER, pipelines=[proposal])
    answer = use(world, "create_pipelines", Role.VIEWER, pipelines=[proposal])
    assert error_code(answer) == "not_allowed"


@pytest.mark.parametrize(
    ("role", "kind"),
    [(role, kind) for role in ("source", "destination") for kind in catalogue.kinds(role)],
)
def test_the_description_of_every_kind_fits_into_an_answer(
    world: World, role: str, kind: str
) -> None:
    from apps.agent.turns.answers import MAX_MODEL_TEXT, text_for_model

    answer = use(world, "describe_connector_kind", role=role, kind=kind)
    assert answer.ok
    assert len(text_for_model(answer)) <= MAX_MODEL_TEXT
