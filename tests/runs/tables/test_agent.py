"""What the agent tells about a run of several streams that a real worker has executed."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings

from apps.agent.turns import answers
from apps.engine import EngineError
from apps.runs.execute import Worker
from local.database.postgres import EmbeddedPostgres
from tests.agent.tools.use import card, error_code, use
from tests.engine.sources.conftest import SourceDatabase
from tests.runs.claiming.test_attempts import work_until_idle
from tests.runs.processes import start_run
from tests.runs.tables.test_many_streams import Shop
from tests.world import World, make_world


@pytest.fixture(autouse=True)
def private_networks(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = True


@pytest.mark.long
def test_the_agent_tells_which_stream_has_failed_and_why_and_hides_positions(
    acme: World,
    database: SourceDatabase,
    engine_postgres: EmbeddedPostgres,
    this_worker: Worker,
) -> None:
    shop = Shop(acme, database, engine_postgres)
    pipeline = shop.create_pipeline(sync_mode="incremental", cursor_field="id")
    shop.source.execute("ALTER TABLE shop.items RENAME TO hidden")
    run_id = start_run(acme, pipeline)
    work_until_idle(this_worker)

    run = use(acme, "show_run", run_id=str(run_id)).content
    assert (run["streams_failed"], run["streams_total"]) == (1, 5)
    (failed,) = run["failed_streams"]
    assert failed["stream"] == "shop.items"
    assert "items" in failed["failure"]["message"]

    arguments: dict[str, Any] = {"run_id": str(run_id), "part": "streams", "status": "succeeded"}
    hidden = use(acme, "show_run", **arguments).content["streams"]
    assert [row["written"] for row in hidden] == [100, 200, 400, 500]
    assert {row["cursor_after"] for row in hidden} == {"[record values hidden]"}
    shown = use(acme, "show_run", values_allowed=True, **arguments).content["streams"]
    assert "100" in str(shown[0]["cursor_after"])

    of_pipeline: dict[str, Any] = {"pipeline_id": str(pipeline.pk)}
    evidence = use(acme, "explain_pipeline", **of_pipeline).content["evidence"]
    texts = [found["text"] for found in evidence]
    assert any(text.startswith("1 of 5 streams failed. 4 were published") for text in texts)
    assert any(
        text.startswith("The stream shop.items failed because of its settings") for text in texts
    )

    positions: dict[str, Any] = {**of_pipeline, "part": "positions", "search": "shop.orders"}
    found = use(acme, "show_pipeline", **positions).content
    assert [row["stream"] for row in found["positions"]] == ["shop.orders"]
    assert {row["after"] for row in found["history"]} == {"[record values hidden]"}
    backfill: dict[str, Any] = {**of_pipeline, "streams": ["shop.orders"]}
    for window in ({"end": "7000"}, {"start": "7000"}):
        with pytest.raises(EngineError) as refused:
            card(acme, "backfill_streams", **backfill, **window)
        answer = answers.from_exception(refused.value, tool="backfill_streams")
        assert "[record values hidden]" in answer.summary
        assert "200" not in str(answer.content), "the saved position is a value of a record"
    stranger = make_world("Stranger")
    assert error_code(use(stranger, "show_pipeline", **positions)) == "not_found"
    assert error_code(use(stranger, "show_run", **arguments)) == "not_found"
