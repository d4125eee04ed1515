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
from tests.isolation.planted import Planted, plant, principal

PLACE = {"url": "https://git.example.com/a", "branch": "main", "path": "", "username": "git"}


@pytest.fixture
def planted(db: None) -> Planted:
    return plant()


def on_an_object(org: Org, by: Principal, ids: dict[str, UUID]) -> dict[str, Callable[..., Any]]:
    """Return each action that takes an id, ready to be called; `match` is added for those that compare versions."""
    on: Any = partial(partial, org=org, by=by)
    connector = {"connector_id": ids["connector"]}
    source = {"source_id": ids["custom_source"]}
    repository = {"repository_id": ids["repository"]}
    return {
        "change a connector": on(connectors.update, changes={"name": "new"}, **connector),
        "delete a connector": on(connectors.delete, **connector),
        "check a connector": on(checks.check_saved, **connector),
        "change a source": on(sources.update, changes={"name": "new"}, **source),
        "approve a version": on(sources.approve, number=2, **source),
        "restore a version": on(sources.restore, number=1, **source),
        "delete a source": on(sources.delete, **source),
        "try a source": on(trials.prepare, stream="planted", config={}, limit=1, **source),
        "change a repository": on(repositories.change, changes={"branch": "b"}, **repository),
        "read a repository": on(repositories.request_sync, **repository),
        "renew a webhook's secret": on(repositories.renew_webhook_secret, **repository),
        "disconnect a repository": on(repositories.disconnect, **repository),
    }


def making(org: Org, by: Principal) -> dict[str, Callable[..., Any]]:
    """Return each action that creates an object."""
    on: Any = partial(partial, org=org, by=by)
    dummy = {"role": "source", "kind": "dummy", "config": {}}
    return {
        "make a connector": on(connectors.create, name="new", **dummy),
        "check settings": on(checks.check_unsaved, **dummy),
        "make a source": on(sources.create, name="new", code="x = 1"),
        "upload sources": on(uploads.save_files, filename="a.py", files=[], approve=False),
        "connect a repository": on(repositories.connect, fields={**PLACE, "approves": False}),
    }


def test_a_viewer_may_do_none_of_it(planted: Planted) -> None:
    org = planted.world.org
    with planted.world.scope():
        by = principal(planted.world, Role.VIEWER)
        verbs = {**on_an_object(org, by, planted.ids), **making(org, by)}
        for name, verb in verbs.items():
            with pytest.raises(PermissionMissing):
                pytest.fail(f"{name}: {verb()}")


def test_what_is_of_another_org_is_not_there(planted: Planted) -> None:
    other = plant()
    with planted.world.scope():
        by = principal(planted.world, Role.OWNER)
        for name, verb in on_an_object(planted.world.org, by, other.ids).items():
            with pytest.raises(NotFound):
                pytest.fail(f"{name}: {verb()}")


def test_a_change_is_refused_if_the_object_has_changed_meanwhile(planted: Planted) -> None:
    compared = (
        "change a connector", "delete a connector", "change a source", "approve a version",
        "restore a version", "delete a source", "change a repository", "disconnect a repository",
    )  # fmt: skip
    verbs = on_an_object(planted.world.org, SYSTEM, planted.ids)
    with planted.world.scope():
        for name in compared:
            with pytest.raises(ChangedMeanwhile):
                pytest.fail(f"{name}: {verbs[name](match=frozenset({'99'}))}")


def test_code_is_stored_only_once_it_was_validated(planted: Planted) -> None:
    new = making(planted.world.org, SYSTEM)["make a source"]
    with planted.world.scope(), pytest.raises(CodeUnchecked):
        new()
    with planted.world.scope(), pytest.raises(CodeUnchecked):
        sources.update(
            org=planted.world.org,
            by=SYSTEM,
            source_id=planted.ids["custom_source"],
            changes={"code": "x = 1"},
        )
