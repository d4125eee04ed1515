"""Actions on runs and positions check the permission and the domain of their caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from apps.orgs.exceptions import NotFound, PermissionMissing
from apps.orgs.principals import SYSTEM, Principal
from apps.orgs.roles import Role
from apps.runs import services
from apps.runs.models import Run, Trigger
from apps.runs.positions import services as positions
from tests.isolation.planted import principal
from tests.runs.conftest import make_pipeline
from tests.runs.processes import start_run
from tests.world import World


def bound_actions(world: World, by: Principal) -> dict[str, Callable[[], Any]]:
    """Return the actions on a new run and its pipeline, as calls of the principal `by`."""
    pipeline = make_pipeline(world)
    run_id = start_run(world, pipeline)

    def bind(action: Callable[..., Any], **arguments: Any) -> Callable[[], Any]:
        return partial(action, org=world.org, by=by, **arguments)

    return {
        "start": bind(services.start, pipeline_id=pipeline.pk),
        "cancel": bind(services.cancel, run_id=run_id),
        "retry": bind(services.retry, run_id=run_id),
        "put": bind(positions.set_position, pipeline_id=pipeline.pk, position={"after": 1}),
        "reset": bind(positions.reset_position, pipeline_id=pipeline.pk),
    }


@pytest.mark.parametrize("is_domain_key", [False, True])
def test_a_principal_without_permission_or_of_another_domain_is_rejected(
    acme: World, is_domain_key: bool
) -> None:
    """A viewer lacks the permission. A key for one domain cannot access objects outside of it."""
    with acme.scope():
        by = principal(acme, Role.MEMBER if is_domain_key else Role.VIEWER)
        if is_domain_key:
            by = replace(by, only_domain=uuid4())
        actions = bound_actions(acme, by)
        for name, action in actions.items():
            with pytest.raises(NotFound if is_domain_key else PermissionMissing):
                pytest.fail(f"{name}: {action()}")


def test_a_run_stores_how_and_by_whom_it_was_started(acme: World) -> None:
    with acme.scope():
        member = principal(acme, Role.MEMBER)
    key = replace(member, actor=replace(member.actor, kind="api_key"))
    triggers = []
    for by in (member, key, SYSTEM):
        pipeline = make_pipeline(acme)
        with acme.scope():
            run = services.start(org=acme.org, by=by, pipeline_id=pipeline.pk)
            row = Run.objects.for_org(acme.org).get(pk=run.pk)
        triggers.append((row.trigger, row.triggered_by_id))
    assert triggers == [
        (Trigger.MANUAL, member.user_id),
        (Trigger.API, member.user_id),
        (Trigger.MANUAL, None),
    ]
