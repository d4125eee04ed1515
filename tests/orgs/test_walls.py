"""The first and second barrier between orgs: reads without an org, and rows of another org."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.db import connection
from django.db.utils import ProgrammingError

from apps.orgs.models import AuditEvent, Domain
from apps.orgs.tenancy import OrgScopeMissing
from apps.orgs.walls.scope import NestedOrgScope, org_scope
from tests.world import World


def test_reading_without_naming_the_org_raises() -> None:
    with pytest.raises(OrgScopeMissing):
        Domain.objects.all()


def add_a_row(world: World) -> None:
    """PostgreSQL calls the policy's function only if there is a row; an empty table returns nothing anyway."""
    with world.scope():
        Domain.unscoped.create(org=world.org, name="ours")


def test_raw_sql_outside_a_scope_is_refused_by_the_database(world: World) -> None:
    add_a_row(world)
    with (
        pytest.raises(ProgrammingError, match="no organization is in scope"),
        connection.cursor() as c,
    ):
        c.execute("SELECT count(*) FROM orgs_domain")


def test_raw_sql_inside_a_scope_sees_only_that_org(world: World, stranger: World) -> None:
    with stranger.scope():
        Domain.unscoped.create(org=stranger.org, name="theirs")
    with world.scope():
        Domain.unscoped.create(org=world.org, name="ours")
        assert [domain.name for domain in Domain.unscoped.all()] == ["ours"]


def test_writing_a_row_of_another_org_is_refused(world: World, stranger: World) -> None:
    with pytest.raises(ProgrammingError, match="row-level security"), world.scope():
        Domain.unscoped.create(org=stranger.org, name="planted")


def test_a_scope_inside_the_scope_of_another_org_is_refused(world: World) -> None:
    with pytest.raises(NestedOrgScope), world.scope(), org_scope(uuid4()):
        pass


def test_the_scope_ends_with_its_block_even_inside_a_transaction(world: World) -> None:
    add_a_row(world)
    with pytest.raises(ProgrammingError), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM orgs_domain")


def test_the_runtime_role_cannot_change_or_remove_audit_events(world: World) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"), world.scope():
        AuditEvent.objects.for_org(world.org).update(action="nothing happened")
