"""Actions on runs and positions enforce their rules for every caller."""

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
from tests.runs.processes import start
from tests.world import World


def verbs_of(world: World, by: Principal) -> dict[str, Callable[[], Any]]:
    pipeline = make_pipeline(world)
    run_id = start(world, pipeline)
    on: Any = partial(partial, org=world.org, by=by)
    return {
        "start": on(services.start, pipeline_id=pipeline.pk),
        "cancel": on(services.cancel, run_id=run_id),
        "retry": on(services.retry, run_id=run_id),
        "put": on(positions.set_position, pipeline_id=pipeline.pk, position={"after": 1}),
        "reset": on(positions.reset_position, pipeline_id=pipeline.pk),
    }


@pytest.mark.parametrize("domain_key", [False, True])
def test_who_may_not_is_refused(acme: World, domain_key: bool) -> None:
    """A viewer lacks the permission; a key for one domain does not see objects outside of it."""
    with acme.scope():
        by = principal(acme, Role.MEMBER if domain_key else Role.VIEWER)
        if domain_key:
            by = replace(by, only_domain=uuid4())
        verbs = verbs_of(acme, by)
        for name, verb in verbs.items():
            with pytest.raises(NotFound if domain_key else PermissionMissing):
                pytest.fail(f"{name}: {verb()}")


def test_a_run_shows_who_started_it(acme: World) -> None:
    with acme.scope():
        member = principal(acme, Role.MEMBER)
    key = replace(member, actor=replace(member.actor, kind="api_key"))
    triggers = []
    for by in (member, key, SYSTEM):
        pipeline = make_pipeline(acme)
        with acme.scope():
            run = services.start(org=acme.org, by=by, pipeline_id=pipeline.pk)
            kept = Run.objects.for_org(acme.org).get(pk=run.pk)
        triggers.append((kept.trigger, kept.triggered_by_id))
    assert triggers == [
        (Trigger.MANUAL, member.user_id),
        (Trigger.API, member.user_id),
        (Trigger.MANUAL, None),
    ]
