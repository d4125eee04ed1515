"""The agent reads what has changed at the source of a pipeline, and proposes to accept, ignore or pause."""

from __future__ import annotations

from typing import Any

import pytest

from apps.orgs.exceptions import PermissionMissing
from apps.orgs.models import AuditEvent
from apps.orgs.roles import Role
from tests.agent.tools.use import card, error_code, use
from tests.pipelines.test_drift import FIRST, WITH_PHONE, Drifting
from tests.world import World


@pytest.fixture
def drifting(world: World) -> Drifting:
    """A pipeline whose frozen stream has a new column."""
    drifting = Drifting(world, contract="freeze")
    drifting.run(FIRST)
    drifting.run(WITH_PHONE)
    return drifting


def listed(drifting: Drifting) -> list[dict[str, Any]]:
    answer = use(
        drifting.world,
        "show_pipeline",
        Role.VIEWER,
        pipeline_id=drifting.pipeline["id"],
        part="source_changes",
    )
    assert answer.ok, answer.content
    return list(answer.content["source_changes"])


def decision(drifting: Drifting, decision: str) -> dict[str, Any]:
    return {
        "pipeline_id": drifting.pipeline["id"],
        "change_ids": [str(row["id"]) for row in listed(drifting)],
        "decision": decision,
    }


def test_the_card_of_an_acceptance_shows_the_change_and_the_rule_that_it_adds(
    drifting: Drifting,
) -> None:
    accepted = decision(drifting, "accept")
    shown: Any = card(drifting.world, "decide_source_changes", **accepted)
    assert shown["title"].startswith("Accept 1 change at the source of ")
    assert shown["facts"] == [
        {"label": "generated", "value": "new column phone, text, it fails runs"}
    ]
    rules = next(c for c in shown["changes"] if c["field"] == "streams.0.fields.rules")
    assert rules["after"] == [{"field": "phone"}]
    assert drifting.fields() is None, "the card changes nothing"

    answer = use(drifting.world, "decide_source_changes", **accepted)
    assert answer.content["source_changes"][0]["effect"] == "arrives"
    assert drifting.fields()["rules"] == [{"field": "phone"}]
    assert listed(drifting) == []
    with drifting.world.scope():
        events = AuditEvent.objects.for_org(drifting.world.org)
        event = events.get(action="drift.accept")
    assert event.actor_kind == "agent"


def test_a_change_is_ignored_once(drifting: Drifting) -> None:
    ignored = decision(drifting, "ignore")
    shown: Any = card(drifting.world, "decide_source_changes", **ignored)
    assert shown["changes"] == []
    assert use(drifting.world, "decide_source_changes", **ignored).ok
    assert not use(drifting.world, "decide_source_changes", **ignored).ok


def test_to_pause_needs_a_schedule(drifting: Drifting) -> None:
    answer = use(drifting.world, "decide_source_changes", **decision(drifting, "pause"))
    assert not answer.ok
    assert len(listed(drifting)) == 1


def test_a_stranger_finds_no_changes_and_a_viewer_decides_nothing(
    drifting: Drifting, stranger: World
) -> None:
    ignored = decision(drifting, "ignore")
    pipeline = {"pipeline_id": ignored["pipeline_id"]}
    shown = use(stranger, "show_pipeline", part="source_changes", **pipeline)
    assert error_code(shown) == "not_found"
    assert error_code(use(stranger, "decide_source_changes", **ignored)) == "not_found"
    with pytest.raises(PermissionMissing):
        card(drifting.world, "decide_source_changes", Role.VIEWER, **ignored)
    answer = use(drifting.world, "decide_source_changes", Role.VIEWER, **ignored)
    assert error_code(answer) == "not_allowed"
