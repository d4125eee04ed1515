"""A name that the database refuses for its characters is not reported as a name that is in use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError

from apps.connectors import services as connectors
from apps.connectors.models import ConnectorRole
from apps.orgs.members import domains
from apps.orgs.models import ScimGroup, ScimUser
from apps.orgs.principals import SYSTEM
from apps.orgs.scim import provisioning
from apps.pipelines import services as pipelines
from tests.world import World, make_pipeline

UNSAFE = "two\nlines"


def rename_pipeline(world: World) -> None:
    pipeline = make_pipeline(world)
    with world.scope():
        pipelines.update(
            org=world.org, by=SYSTEM, pipeline_id=pipeline.pk, changes={"name": UNSAFE}
        )


def create_connector(world: World) -> None:
    role = ConnectorRole.SOURCE
    connectors.create(org=world.org, by=SYSTEM, role=role, kind="dummy", name=UNSAFE, config={})


def create_domain(world: World) -> None:
    domains.create(org=world.org, by=SYSTEM, name=UNSAFE)


def save_directory_row(row: Any, field: str) -> None:
    provisioning._save_row(row, {field: UNSAFE})


ACTIONS: dict[str, Callable[[World], None]] = {
    "pipeline": rename_pipeline,
    "connector": create_connector,
    "domain": create_domain,
    "user of a directory": lambda world: save_directory_row(ScimUser(org=world.org), "user_name"),
    "group of a directory": lambda world: save_directory_row(
        ScimGroup(org=world.org), "display_name"
    ),
}


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_an_unsafe_name_is_not_reported_as_a_name_in_use(
    world: World, action: Callable[[World], None]
) -> None:
    with world.scope(), pytest.raises(IntegrityError, match="_plain"):
        action(world)
