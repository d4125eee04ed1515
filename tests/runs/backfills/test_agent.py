"""The agent proposes a backfill with its estimate, and cancels it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pytest_django import Settings

from apps.agent.tools import registry
from apps.agent.tools.slow_work import with_checks
from apps.orgs.exceptions import Invalid
from apps.orgs.models import AuditEvent
from apps.orgs.roles import Role
from apps.runs.execute import Worker
from local.database.postgres import EmbeddedPostgres
from tests.agent.tools.use import card, context_of, error_code, use
from tests.engine.sources.conftest import SourceDatabase
from tests.runs.backfills.events import Events
from tests.runs.backfills.test_backfills import APPEND
from tests.world import World, make_world


@pytest.fixture(autouse=True)
def private_networks(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = True


def perform(world: World, name: str, **arguments: Any) -> Any:
    """Carry a call out as a turn does, with the check that it asks for."""
    tool: Any = registry.find(name)

    def action(checked: Any) -> Any:
        with world.scope():
            context = replace(context_of(world), checked=checked)
            return tool.perform(context, tool.parse(arguments))

    return with_checks(action)


@pytest.mark.long
def test_a_backfill_is_proposed_with_its_estimate_started_and_cancelled(
    acme: World,
    database: SourceDatabase,
    engine_postgres: EmbeddedPostgres,
    this_worker: Worker,
) -> None:
    events = Events(acme, database, engine_postgres)
    pipeline = events.create_pipeline(**APPEND)
    window: dict[str, Any] = {
        "pipeline_id": str(pipeline.pk),
        "streams": ["shop.events"],
        "start": "2026-01-02",
        "end": "2026-01-03",
    }
    with pytest.raises(Invalid, match="no saved position"):
        card(acme, "backfill_streams", **window)
    events.run(this_worker, pipeline)

    shown: Any = card(acme, "backfill_streams", **window)
    facts = {fact["label"]: fact["value"] for fact in shown["facts"]}
    assert facts["Records to expect"] == "1,440, in 1 chunk"
    assert facts["Write mode"] == "The rows of the window are replaced"
    assert facts["Window"].startswith("at from 2026-01-02 00:00:00")

    answer = perform(acme, "backfill_streams", **window)
    (backfill,) = answer.content["backfills"]
    of_pipeline: dict[str, Any] = {"pipeline_id": str(pipeline.pk)}
    listed = use(acme, "show_pipeline", part="backfills", **of_pipeline).content
    assert [row["status"] for row in listed["backfills"]] == ["running"]
    assert listed["backfills"][0]["from"] == "[record values hidden]"
    assert listed["streams"][0]["refusal"] == ""

    cancelled: dict[str, Any] = {**of_pipeline, "backfill_id": str(backfill["id"])}
    assert "Cancel the backfill" in str(card(acme, "cancel_run", **cancelled)["title"])
    assert error_code(use(make_world("Other"), "cancel_run", **cancelled)) == "not_found"
    assert error_code(use(acme, "cancel_run", Role.VIEWER, **cancelled)) == "not_allowed"
    assert use(acme, "cancel_run", **cancelled).ok
    assert error_code(use(acme, "cancel_run")) == "invalid"
    with acme.scope():
        actions = AuditEvent.objects.for_org(acme.org).filter(object_kind="backfill")
        assert set(actions.values_list("action", "actor_kind")) == {
            ("backfill.create", "agent"),
            ("backfill.cancel", "agent"),
        }
