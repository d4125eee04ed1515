"""The isolation of orgs: the managers reject reads without an org, and the database hides rows of other orgs."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.db import connection
from django.db.utils import ProgrammingError

from apps.orgs.models import AuditEvent, Domain
from apps.orgs.tenancy import OrgScopeMissing
from apps.orgs.walls.scope import NestedOrgScope, org_scope
from tests.world import World


def test_a_read_without_an_org_raises_an_error() -> None:
    with pytest.raises(OrgScopeMissing):
        Domain.objects.all()


def add_domain(world: World) -> None:
    """Add a row. PostgreSQL calls the function of the policy only if the table has rows."""
    with world.scope():
        Domain.unscoped.create(org=world.org, name="ours")


def test_the_database_rejects_raw_sql_outside_a_scope(world: World) -> None:
    add_domain(world)
    with (
        pytest.raises(ProgrammingError, match="no organization is in scope"),
        connection.cursor() as c,
    ):
        c.execute("SELECT count(*) FROM orgs_domain")


def test_a_query_inside_a_scope_returns_only_rows_of_that_org(
    world: World, stranger: World
) -> None:
    with stranger.scope():
        Domain.unscoped.create(org=stranger.org, name="theirs")
    with world.scope():
        Domain.unscoped.create(org=world.org, name="ours")
        assert [domain.name for domain in Domain.unscoped.all()] == ["ours"]


def test_the_database_rejects_a_row_of_another_org(world: World, stranger: World) -> None:
    with pytest.raises(ProgrammingError, match="row-level security"), world.scope():
        Domain.unscoped.create(org=stranger.org, name="planted")


def test_a_scope_cannot_be_opened_inside_the_scope_of_another_org(world: World) -> None:
    with pytest.raises(NestedOrgScope), world.scope(), org_scope(uuid4()):
        pass


def test_the_scope_ends_with_its_block_even_inside_a_transaction(world: World) -> None:
    add_domain(world)
    with pytest.raises(ProgrammingError), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM orgs_domain")


def test_the_runtime_role_cannot_change_or_remove_audit_events(world: World) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"), world.scope():
        AuditEvent.objects.for_org(world.org).update(action="nothing happened")
