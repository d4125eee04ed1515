"""Tools on runs that a real worker has executed, and on servers that are really reached."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from apps.agent.guided.turns import Step
from apps.connectors import engine
from apps.orgs.principals import SYSTEM
from apps.pipelines import services
from tests.agent.test_turns import begin, decide, script, show, work
from tests.agent.tools.use import use
from tests.runs.processes import has_ended, running_worker, start_run, wait_for_run
from tests.world import World, make_connector, make_pipeline, make_world


@pytest.fixture
def world(committed_db: None) -> Iterator[World]:
    yield make_world()
    engine.supervisor().close()
    engine.supervisor.cache_clear()


def pipeline_to_log(world: World, **fields: Any) -> Any:
    """A pipeline that logs sample rows, whose values must not reach a language model."""
    config = {
        "source": {"kind": "dummy", "config": {"rows": 10, **fields.pop("source", {})}},
        "streams": [{"stream": "generated", **fields.pop("stream", {})}],
        "destination": {"kind": "logger", "config": {"sample_rows": 3}},
    }
    return make_pipeline(world, config=config, **fields)


@pytest.fixture
def worker(committed_db: None) -> Iterator[None]:
    with running_worker():
        yield


def finish_run(world: World, pipeline: Any) -> dict[str, Any]:
    """Start a run, and return it when a worker has executed it."""
    return wait_for_run(world, start_run(world, pipeline), has_ended)


@pytest.mark.usefixtures("worker")
def test_the_sample_rows_of_a_real_log_are_hidden(world: World) -> None:
    run = finish_run(world, pipeline_to_log(world))
    arguments = {"run_id": str(run["id"]), "limit": 100, "level": "debug"}
    allowed = use(world, "read_log", values_allowed=True, **arguments).content["lines"]
    hidden = use(world, "read_log", values_allowed=False, **arguments).content["lines"]

    samples = [shown for shown in allowed if shown["message"].startswith("Sample row: {")]
    assert len(samples) == 3
    assert [shown["line"] for shown in hidden] == [shown["line"] for shown in allowed]
    assert not [shown for shown in hidden if shown["message"].startswith("Sample row: {")]


@pytest.mark.long
@pytest.mark.usefixtures("worker")
def test_a_real_failure_is_explained_with_a_line_of_its_log(world: World) -> None:
    source = {"fail_after": 0, "failure": "configuration"}
    pipeline = pipeline_to_log(world, source=source, max_attempts=1)
    run = finish_run(world, pipeline)
    assert run["status"] == "failed"
    content = use(world, "explain_pipeline", pipeline_id=str(pipeline.pk)).content

    found = [item for item in content["evidence"] if item["link"].startswith(f"/runs/{run['id']}")]
    assert "because of its settings" in found[0]["text"]
    assert any("of the log, error" in item["text"] for item in found)


def test_a_check_connects_only_after_the_approval(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = make_connector(world, name="numbers")
    call = ("check_connector", {"connector_id": str(connector.pk)})
    script(monkeypatch, Step("", (call,)), Step("It works."))
    client, conversation = begin(world, "check numbers")
    work(world, conversation)
    (request,) = show(client, conversation)["items"]
    assert request["card"]["title"] == "Check the connector numbers"
    assert client.get(f"/api/v1/connectors/{connector.pk}").json()["checked_at"] is None

    assert decide(client, conversation, request["id"], decision="approve").status_code == 200
    work(world, conversation)
    turn = show(client, conversation)
    assert turn["status"] == "done", turn
    assert client.get(f"/api/v1/connectors/{connector.pk}").json()["check_ok"] is True


def test_an_edited_change_is_made_and_its_card_is_computed_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = make_pipeline(world, name="flights", timeout_seconds=60)
    arguments = {"pipeline_id": str(pipeline.pk), "timeout_seconds": 120}
    script(monkeypatch, Step("", (("update_pipeline", arguments),)), Step("Done."))
    client, conversation = begin(world, "give flights more time")
    work(world, conversation)
    (request,) = show(client, conversation)["items"]
    edited = {**arguments, "timeout_seconds": 180}
    response = decide(client, conversation, request["id"], decision="edit", arguments=edited)
    assert response.status_code == 200, response.json()
    work(world, conversation)

    assert show(client, conversation)["status"] == "done"
    detail = client.get(f"/api/v1/pipelines/{pipeline.pk}").json()
    assert detail["timeout_seconds"] == 180
    assert json.dumps(detail).count("120") == 0


@pytest.mark.long
@pytest.mark.usefixtures("worker")
def test_a_real_change_that_broke_a_pipeline_is_undone_by_the_suggested_call(world: World) -> None:
    pipeline = pipeline_to_log(world, max_attempts=1)
    assert finish_run(world, pipeline)["status"] == "succeeded"
    change_source(world, pipeline, {"fail_after": 0, "failure": "configuration"})
    assert finish_run(world, pipeline)["status"] == "failed"
    content = use(world, "explain_pipeline", pipeline_id=str(pipeline.pk)).content
    assert "Version 2 was saved" in str(content["evidence"])
    suggestion = content["suggested_change"]
    assert use(world, suggestion["tool"], **suggestion["arguments"]).ok
    assert finish_run(world, pipeline)["status"] == "succeeded"


@pytest.mark.long
@pytest.mark.usefixtures("worker")
def test_a_real_run_without_records_is_explained_by_the_change_before_it(world: World) -> None:
    pipeline = pipeline_to_log(world)
    finish_run(world, pipeline)
    change_source(world, pipeline, {"rows": 0})
    run = finish_run(world, pipeline)
    assert run["status"] == "succeeded"
    content = use(world, "explain_pipeline", pipeline_id=str(pipeline.pk)).content

    found = "\n".join(item["text"] for item in content["evidence"])
    assert "It read 0 records" in found
    assert "before the first run without records: source.config.rows: 10 -> 0" in found


def change_source(world: World, pipeline: Any, config: dict[str, Any]) -> None:
    with world.scope():
        changes: Any = {"config": {"source": {"config": config}}}
        services.update(org=world.org, by=SYSTEM, pipeline_id=pipeline.pk, changes=changes)
