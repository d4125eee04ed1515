"""The proposal of new pipelines: what its card says."""

from __future__ import annotations

from typing import Any

import pytest

from apps.connectors import catalogue
from apps.orgs.exceptions import Invalid, PermissionMissing
from apps.orgs.members import domains
from apps.orgs.principals import SYSTEM
from apps.orgs.roles import Role
from apps.runs.models import Run
from tests.agent.tools.runs import ended_run
from tests.agent.tools.use import card, error_code, use
from tests.world import World, make_connector, make_pipeline


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


def test_the_rows_to_expect_come_from_the_last_run_of_the_same_stream(
    world: World, proposal: dict[str, Any]
) -> None:
    unknown = "Not known before the first run"
    assert facts_of(world, proposal)["Rows and requests to expect"] == unknown
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
    assert facts_of(world, other_source)["Rows and requests to expect"] == unknown
    assert facts_of(world, other_stream)["Rows and requests to expect"] == unknown
    facts = facts_of(world, proposal)
    assert facts["Rows to expect"] == "336,776, as in the last run of older"
    assert facts["Requests to expect"] == "12, one for each page, as in the last run of older"


def test_the_card_warns_of_connectors_that_are_not_known_to_work(
    world: World, proposal: dict[str, Any]
) -> None:
    shown = card(world, "create_pipelines", pipelines=[proposal, {**proposal, "name": "second"}])

    assert shown["warnings"] == [
        "The source numbers has not been checked with its settings yet.",
        "The destination log has not been checked with its settings yet.",
    ]


def test_the_card_says_what_the_modes_need(world: World, proposal: dict[str, Any]) -> None:
    stream = {"stream": "generated", "sync_mode": "incremental", "cursor_field": "id"}
    facts = facts_of(world, {**proposal, "streams": [stream]})

    assert facts["Needs"] == "the column id grows with each new or changed row"


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
