"""Actions on connectors, custom sources and repositories enforce their rules for every caller."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from apps.connectors import services as connectors
from apps.connectors.checks import services as checks
from apps.connectors.custom_sources import services as sources
from apps.connectors.custom_sources import trials, uploads
from apps.connectors.custom_sources.checked_code import CodeUnchecked
from apps.connectors.repositories import services as repositories
from apps.orgs.exceptions import ChangedMeanwhile, NotFound, PermissionMissing
from apps.orgs.models import Org
from apps.orgs.principals import SYSTEM, Principal
from apps.orgs.roles import Role
from tests.isolation.planted import PlantedOrg, plant, principal

REPOSITORY_FIELDS = {
    "url": "https://git.example.com/a",
    "branch": "main",
    "path": "",
    "username": "git",
}


@pytest.fixture
def planted(db: None) -> PlantedOrg:
    return plant()


def actions_on_objects(
    org: Org, by: Principal, ids: dict[str, UUID]
) -> dict[str, Callable[..., Any]]:
    """Return each action on an existing object, with its arguments. Actions that compare versions accept `match`."""
    bind: Any = partial(partial, org=org, by=by)
    connector = {"connector_id": ids["connector"]}
    source = {"source_id": ids["custom_source"]}
    repository = {"repository_id": ids["repository"]}
    return {
        "change a connector": bind(connectors.update, changes={"name": "new"}, **connector),
        "delete a connector": bind(connectors.delete, **connector),
        "check a connector": bind(checks.check_saved, **connector),
        "check a changed connector": bind(checks.check_changed, config={}, **connector),
        "change a source": bind(sources.update, changes={"name": "new"}, **source),
        "approve a version": bind(sources.approve, number=2, **source),
        "restore a version": bind(sources.restore, number=1, **source),
        "delete a source": bind(sources.delete, **source),
        "try a source": bind(trials.prepare, stream="planted", config={}, limit=1, **source),
        "change a repository": bind(repositories.change, changes={"branch": "b"}, **repository),
        "sync a repository": bind(repositories.request_sync, **repository),
        "renew a webhook's secret": bind(repositories.renew_webhook_secret, **repository),
        "disconnect a repository": bind(repositories.disconnect, **repository),
    }


def creating_actions(org: Org, by: Principal) -> dict[str, Callable[..., Any]]:
    """Return each action that creates an object, with its arguments."""
    bind: Any = partial(partial, org=org, by=by)
    dummy = {"role": "source", "kind": "dummy", "config": {}}
    return {
        "create a connector": bind(connectors.create, name="new", **dummy),
        "check settings": bind(checks.check_unsaved, **dummy),
        "create a source": bind(sources.create, name="new", code="x = 1"),
        "upload sources": bind(uploads.save_files, filename="a.py", files=[], approve=False),
        "connect a repository": bind(
            repositories.connect, fields={**REPOSITORY_FIELDS, "approves": False}
        ),
    }


def test_a_viewer_may_call_none_of_the_actions(planted: PlantedOrg) -> None:
    org = planted.world.org
    with planted.world.scope():
        by = principal(planted.world, Role.VIEWER)
        actions = {**actions_on_objects(org, by, planted.ids), **creating_actions(org, by)}
        for name, action in actions.items():
            with pytest.raises(PermissionMissing):
                pytest.fail(f"{name}: {action()}")


def test_actions_on_objects_of_another_org_raise_not_found(planted: PlantedOrg) -> None:
    other_org = plant()
    with planted.world.scope():
        by = principal(planted.world, Role.OWNER)
        for name, action in actions_on_objects(planted.world.org, by, other_org.ids).items():
            with pytest.raises(NotFound):
                pytest.fail(f"{name}: {action()}")


def test_an_action_is_rejected_if_the_object_was_changed_meanwhile(planted: PlantedOrg) -> None:
    comparing_actions = (
        "change a connector", "delete a connector", "change a source", "approve a version",
        "restore a version", "delete a source", "change a repository", "disconnect a repository",
    )  # fmt: skip
    actions = actions_on_objects(planted.world.org, SYSTEM, planted.ids)
    with planted.world.scope():
        for name in comparing_actions:
            with pytest.raises(ChangedMeanwhile):
                pytest.fail(f"{name}: {actions[name](match=frozenset({'99'}))}")


def test_code_that_was_not_validated_is_not_stored(planted: PlantedOrg) -> None:
    create_source = creating_actions(planted.world.org, SYSTEM)["create a source"]
    with planted.world.scope(), pytest.raises(CodeUnchecked):
        create_source()
    with planted.world.scope(), pytest.raises(CodeUnchecked):
        sources.update(
            org=planted.world.org,
            by=SYSTEM,
            source_id=planted.ids["custom_source"],
            changes={"code": "x = 1"},
        )
