"""The agent proposes to send rejected records again, and starts the run after an approval."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings

from apps.orgs.exceptions import Conflict
from apps.orgs.roles import Role
from apps.runs.execute import Worker
from local.database.postgres import EmbeddedPostgres
from tests.agent.tools.use import card, error_code, use
from tests.engine.sources.conftest import SourceDatabase
from tests.runs.backfills.events import Events
from tests.runs.backfills.test_agent import perform
from tests.runs.claiming.test_attempts import work_until_idle
from tests.runs.replays.test_replays import REJECTED, REPAIRED, change, load
from tests.world import World, make_world


@pytest.mark.long
def test_the_agent_sends_rejected_records_again(
    settings: Settings,
    acme: World,
    database: SourceDatabase,
    engine_postgres: EmbeddedPostgres,
    this_worker: Worker,
) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = True
    events = Events(acme, database, engine_postgres)
    pipeline, run_id = load(events, this_worker)
    change(acme, pipeline, transforms=REPAIRED)
    arguments: dict[str, Any] = {"run_id": str(run_id)}
    shown: Any = card(acme, "replay_rejected_records", **arguments)
    facts = {fact["label"]: fact["value"] for fact in shown["facts"]}
    assert (facts["Stream"], facts["Records"]) == ("shop.events", str(REJECTED))

    stranger = use(make_world("Other"), "replay_rejected_records", **arguments)
    assert error_code(stranger) == "not_found"
    viewer = use(acme, "replay_rejected_records", Role.VIEWER, **arguments)
    assert error_code(viewer) == "not_allowed"

    answer = perform(acme, "replay_rejected_records", **arguments)
    assert answer.content["streams"] == [{"stream": "shop.events", "records": REJECTED}]
    work_until_idle(this_worker)
    assert events.arrived() == events.expected()
    with pytest.raises(Conflict, match="were sent again before"):
        perform(acme, "replay_rejected_records", **arguments)
