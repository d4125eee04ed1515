"""The contract of a stream is saved, validated, compared, restored and given to runs, with the right permissions."""

from __future__ import annotations

from typing import Any

import pytest

from apps.engine.contract import Failed
from apps.engine.failures import COLUMNS_CHANGED, FailureClass
from apps.pipelines.models import Pipeline
from apps.pipelines.specs import engine_specs
from apps.runs.next_steps import next_step
from tests.pipelines.test_pipelines import URL, create_pipeline, error_codes
from tests.pipelines.test_transforms import CONFIG
from tests.world import World, make_world


def config_with_contract(contract: Any) -> dict[str, Any]:
    return {**CONFIG, "streams": [{"stream": "generated", "contract": contract}]}


def contract_of(pipeline: dict[str, Any]) -> Any:
    return pipeline["config"]["streams"][0].get("contract")


def contract_of_runs(world: World, pipeline: dict[str, Any]) -> str:
    with world.scope():
        row = Pipeline.objects.for_org(world.org).get(pk=pipeline["id"])
        return engine_specs(org=world.org, pipeline=row, version=row.version)[0].contract


def test_a_contract_stays_until_it_is_changed_and_is_compared_and_restored(world: World) -> None:
    pipeline = create_pipeline(world, config=config_with_contract("freeze"))
    assert (contract_of(pipeline), contract_of_runs(world, pipeline)) == ("freeze", "freeze")
    path, client = f"{URL}/{pipeline['id']}", world.client()
    other = client.patch(path, {"config": {"streams": [{"table": "other"}]}}).json()
    assert contract_of(other) == "freeze"
    changed = client.patch(path, {"config": {"streams": [{"contract": "drop_rows"}]}}).json()
    assert (contract_of(changed), changed["version"]) == ("drop_rows", 3)
    (change,) = client.get(f"{path}/versions/3/diff").json()["changes"]
    assert change["field"] == "streams.0.contract"
    assert (change["before"], change["after"]) == ("freeze", "drop_rows")
    assert contract_of(client.post(f"{path}/versions/1/restore").json()) == "freeze"
    copy = client.post(f"{path}/duplicate", {"name": "Copy"}).json()
    assert contract_of(copy) == "freeze"


@pytest.mark.parametrize("contract", [None, "evolve"])
def test_the_default_is_not_stored(world: World, contract: Any) -> None:
    pipeline = create_pipeline(world, config=config_with_contract(contract))
    assert contract_of(pipeline) is None
    assert contract_of_runs(world, pipeline) == "evolve"


@pytest.mark.parametrize("contract", ["frozen", 1, ["freeze"], {}])
def test_an_unknown_contract_is_refused(world: World, contract: Any) -> None:
    body = {"name": "x", "config": config_with_contract(contract)}
    answer = world.client().post(URL, body)
    assert error_codes(answer) == {"streams.0.contract": "choice"}
    errors = world.client().post(f"{URL}/validate", body).json()["errors"]
    assert [error["field"] for error in errors] == ["streams.0.contract"]


def test_a_failure_because_of_the_contract_says_what_to_do() -> None:
    failed = Failed(FailureClass.CONTRACT, f"{COLUMNS_CHANGED}: there are new columns, 'x'.", ())
    step = next_step(failed.failure_class, failed.message, retryable=failed.retryable)
    assert "contract of the stream" in step
    assert "reset the stream" in step


def test_only_members_who_may_edit_change_a_contract(world: World) -> None:
    pipeline = create_pipeline(world, config=CONFIG)
    path, change = f"{URL}/{pipeline['id']}", {"config": {"streams": [{"contract": "freeze"}]}}
    assert world.client().patch(path, change).status_code == 200
    assert world.client("viewer").patch(path, change).status_code == 403
    assert make_world("Other").client().patch(path, change).status_code == 404
