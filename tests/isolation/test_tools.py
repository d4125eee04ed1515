"""Call every tool of the agent that takes an id with the ids of another org, and with unknown ids.

Both answers are the same, and neither has data of the other org. MCP serves the same tools.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args
from uuid import uuid4

import pytest
from django.db import transaction
from pytest_django.plugin import DjangoDbBlocker

from apps.agent.tools import registry
from apps.agent.tools.argument_errors import SHOWN_OF_ID
from apps.agent.tools.show_pipeline.arguments import Part
from apps.agent.turns import answers
from apps.orgs.roles import Role
from tests.agent.tools.use import use
from tests.isolation.planted import PlantedOrg, plant

OWN = "own "  # an id of the caller's own org
# The arguments of each tool, with names of planted objects in the place of ids.
CALLS: dict[str, list[dict[str, Any]]] = {
    "backfill_streams": [{"pipeline_id": "pipeline", "streams": ["generated"]}],
    "cancel_run": [
        {"run_id": "live_run"},
        {"pipeline_id": "pipeline", "backfill_id": "backfill"},
        {"pipeline_id": f"{OWN}pipeline", "backfill_id": "backfill"},
    ],
    "check_connector": [{"connector_id": "connector"}],
    "create_pipelines": [
        {"pipelines": [{"name": "new", "source_connector_id": source, "destination_connector_id": destination, **reads}]}
        for source, destination in (("connector", f"{OWN}destination"), (f"{OWN}connector", "destination"))
        for reads in ({"streams": [{"stream": "generated"}]}, {"patterns": {"match": ["*"]}})
    ],
    "create_hook": [{"pipeline_id": "pipeline", "name": "new"}],
    "decide_source_changes": [
        {"pipeline_id": pipeline, "change_ids": ["source_change"], "decision": "accept"}
        for pipeline in ("pipeline", f"{OWN}pipeline")
    ],
    "delete_connector": [{"connector_id": "connector"}],
    "delete_follow_up": [
        {"pipeline_id": pipeline, "follow_up_id": "follow_up"} for pipeline in ("pipeline", f"{OWN}pipeline")
    ],
    "delete_hook": [{"pipeline_id": pipeline, "hook_id": "hook"} for pipeline in ("paused_pipeline", f"{OWN}paused_pipeline")],
    "delete_pipeline": [{"pipeline_id": "pipeline"}],
    "explain_pipeline": [{"pipeline_id": "pipeline"}],
    "list_streams": [{"connector_id": "connector"}],
    "preview_pipeline": [{"pipeline_id": "pipeline"}],
    "read_log": [{"run_id": "run"}],
    "replay_rejected_records": [{"run_id": "run"}],
    "restore_pipeline_version": [{"pipeline_id": "pipeline", "number": 1}],
    "retry_run": [{"run_id": "run"}],
    "run_pipeline": [{"pipeline_id": "pipeline"}],
    "set_file_watch": [{"pipeline_id": "pipeline", "enabled": True}],
    "set_pipeline_enabled": [{"pipeline_id": "pipeline", "enabled": False}],
    "set_schedule_paused": [{"pipeline_id": "pipeline", "paused": True}],
    "show_custom_source": [{"custom_source_id": "custom_source"}],
    "show_pipeline": [
        {"pipeline_id": "pipeline", "part": part}
        for part in get_args(Part)
    ],
    "show_run": [{"run_id": "run", "part": part} for part in ("summary", "streams")],
    "update_follow_up": [
        {"pipeline_id": pipeline, "follow_up_id": "follow_up", "enabled": False}
        for pipeline in ("pipeline", f"{OWN}pipeline")
    ],
    "update_hook": [
        {"pipeline_id": pipeline, "hook_id": "hook", "enabled": False} for pipeline in ("paused_pipeline", f"{OWN}paused_pipeline")
    ],
    "update_pipeline": [
        {"pipeline_id": "pipeline", "name": "new"},
        {"pipeline_id": "pipeline", "remove_streams": ["generated"]},
        {"pipeline_id": f"{OWN}pipeline", "source_connector_id": "connector"},
        {"pipeline_id": f"{OWN}pipeline", "destination_connector_id": "destination"},
        {"pipeline_id": f"{OWN}pipeline", "domain_id": "domain"},
    ],
}  # fmt: skip
# These take an id too, but no object of the org that another org could name.
NOT_CALLED = {
    "list_runs": "The runs of an unknown pipeline are an empty list, as in the API.",
    "preview_source": "It runs code that is sent, and needs a conversation. tests/agent/sources has its tests.",
    "read_document": "It reads documents of its own conversation.",
    "request_connector": "It asks the user, who then creates a connector over the API.",
    "request_follow_up": "It asks the user, who then adds the call over the API. tests/agent/tools has its tests.",
    "save_source_version": "It saves code that is sent, and needs a conversation. tests/agent/sources has its tests.",
}


@pytest.fixture(scope="module")
def two_orgs(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[tuple[PlantedOrg, PlantedOrg]]:
    with django_db_blocker.unblock(), transaction.atomic():
        yield plant(), plant()
        transaction.set_rollback(True)


def test_every_tool_that_takes_an_id_is_called() -> None:
    with_ids = {
        tool.name for tool in registry.all_tools() if '"format": "uuid"' in _schema_text(tool)
    }
    assert with_ids == CALLS.keys() | NOT_CALLED.keys()


def _schema_text(tool: Any) -> str:
    return json.dumps(tool.schema())


@pytest.mark.parametrize(
    ("name", "arguments"), [(name, each) for name, calls in CALLS.items() for each in calls]
)
def test_ids_of_another_org_are_answered_like_unknown_ids(
    two_orgs: tuple[PlantedOrg, PlantedOrg],
    django_db_blocker: DjangoDbBlocker,
    name: str,
    arguments: dict[str, Any],
) -> None:
    ours, theirs = two_orgs
    with django_db_blocker.unblock():
        foreign, foreign_ids = _answer(ours, theirs, name, arguments)
        unknown, unknown_ids = _answer(ours, None, name, arguments)
    assert '"error"' in foreign
    assert theirs.canary not in foreign
    assert _without_ids(foreign, foreign_ids) == _without_ids(unknown, unknown_ids)


def _answer(
    ours: PlantedOrg, theirs: PlantedOrg | None, name: str, arguments: dict[str, Any]
) -> tuple[str, list[str]]:
    """Return the text for the model, and the ids that were sent. Without `theirs` the ids are unknown."""
    ids: list[str] = []

    def fill(value: Any, field: str = "") -> Any:
        if isinstance(value, dict):
            return {key: fill(each, key) for key, each in value.items()}
        if isinstance(value, list):
            return [fill(each, field) for each in value]
        if not field.endswith(("_id", "_ids")):
            return value
        if value.startswith(OWN):
            return ours[value.removeprefix(OWN)]
        ids.append(theirs[value] if theirs else str(uuid4()))
        return ids[-1]

    with transaction.atomic():
        answer = use(ours.world, name, Role.OWNER, values_allowed=True, **fill(arguments))
        transaction.set_rollback(True)
    return answers.text_for_model(answer), ids


def _without_ids(text: str, ids: list[str]) -> str:
    for each in ids:
        text = text.replace(each, "ID").replace(each[-SHOWN_OF_ID:], "ID")
    return text
