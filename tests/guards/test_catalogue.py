"""Policies, keys, roles, functions and grants in the database's catalogue."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

OWN_ROWS_READABLE = {"orgs_membership": "its policy also lets a user see their own memberships"}


def query_rows(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, list(values))
        return list(cursor.fetchall())


def tables_with_org() -> list[str]:
    return [
        name
        for (name,) in query_rows(
            """SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
               JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE a.attname = 'org_id' AND c.relkind IN ('r', 'p') AND NOT a.attisdropped
               AND n.nspname = 'public' ORDER BY 1"""
        )
    ]


def test_every_org_owned_model_has_a_table_with_an_org_id(db: None) -> None:
    from tests.guards.test_models import org_owned_models

    assert {model._meta.db_table for model in org_owned_models()} == set(tables_with_org())


def test_every_table_with_an_org_has_row_level_security_for_each_role(db: None) -> None:
    policies: dict[str, dict[str, tuple[str, str]]] = {}
    for table, roles, command, reads, writes in query_rows(
        """SELECT tablename, roles::text[], cmd, coalesce(qual, ''), coalesce(with_check, '')
           FROM pg_policies WHERE permissive = 'PERMISSIVE'"""
    ):
        for role in roles:
            if command == "ALL":
                policies.setdefault(table, {})[role] = (reads, writes)
    enabled = {name for (name,) in query_rows("SELECT relname FROM pg_class WHERE relrowsecurity")}
    for table in [*tables_with_org(), "orgs_org"]:
        assert table in enabled, f"{table}: use rls.protect in a migration"
        reads, writes = policies[table]["app_user"]
        function = (
            "app_org_or_null" if table in {*OWN_ROWS_READABLE, "orgs_org"} else "app_current_org"
        )
        assert function in reads, table
        assert function in writes, table
        assert policies[table]["app_ops"], table


def test_only_the_two_listed_policies_allow_rows_of_several_orgs(db: None) -> None:
    """Permissive policies are combined with OR. Only for memberships and orgs is a second policy defined."""
    other_policies = query_rows(
        """SELECT tablename, policyname, cmd FROM pg_policies
           WHERE 'app_user' = ANY (roles) AND policyname <> 'org_isolation' ORDER BY 1"""
    )
    assert other_policies == [("orgs_membership", "own", "SELECT"), ("orgs_org", "own", "SELECT")]


def test_every_table_with_an_org_has_a_unique_key_of_org_and_id(db: None) -> None:
    for table in tables_with_org():
        rows = query_rows(
            """SELECT 1 FROM pg_constraint WHERE conrelid = %s::regclass AND contype IN ('u', 'p')
               AND (SELECT array_agg(attname::text ORDER BY attname) FROM pg_attribute
                    WHERE attrelid = conrelid AND attnum = ANY (conkey)) = ARRAY['id', 'org_id']""",
            table,
        )
        assert rows, f"{table}: no unique (org_id, id)"


def test_every_reference_between_org_owned_tables_includes_the_org(db: None) -> None:
    from apps.orgs.tenancy import OrgOwned
    from tests.guards.test_models import org_owned_models

    composite_keys = {
        (table, column)
        for table, column in query_rows(
            """SELECT conrelid::regclass::text, a.attname::text FROM pg_constraint k
               JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
               WHERE contype = 'f' AND array_length(conkey, 1) = 2 AND a.attname <> 'org_id'"""
        )
    }
    for model in org_owned_models():
        for field in model._meta.local_fields:
            target = field.related_model
            if not isinstance(target, type) or not issubclass(target, OrgOwned):
                continue
            reference = (model._meta.db_table, field.column)
            assert reference in composite_keys, f"{reference}: use rls.same_org in a migration"


def test_no_foreign_key_between_org_owned_tables_has_only_one_column(db: None) -> None:
    tables = set(tables_with_org())
    single_column_keys = query_rows(
        """SELECT conrelid::regclass::text, confrelid::regclass::text, conname FROM pg_constraint
           WHERE contype = 'f' AND array_length(conkey, 1) = 1"""
    )
    assert not [row for row in single_column_keys if row[0] in tables and row[1] in tables]


def test_the_suite_runs_as_the_runtime_role(db: None) -> None:
    assert query_rows("SELECT current_user, session_user") == [("app_user", "app_user")]


@pytest.mark.parametrize("role", ["app_user", "app_ops", "app_engine", "app_owner"])
def test_no_database_role_of_drover_bypasses_row_level_security(db: None, role: str) -> None:
    flags = query_rows(
        """SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication
           FROM pg_roles WHERE rolname = %s""",
        role,
    )
    assert flags == [(False,) * 5]


def test_the_runtime_roles_own_nothing_and_belong_to_no_other_role(db: None) -> None:
    runtime = "('app_user', 'app_ops', 'app_engine')"
    assert (
        query_rows(
            f"SELECT c.relname FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE rolname IN {runtime}"
        )
        == []
    )
    assert (
        query_rows(
            f"SELECT m.roleid FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE rolname IN {runtime}"
        )
        == []
    )


def test_only_the_owner_may_truncate_reference_or_add_triggers(db: None) -> None:
    """TRUNCATE bypasses row-level security. Foreign keys and triggers can run code as the owner."""
    rows = query_rows(
        """SELECT grantee, table_name, privilege_type FROM information_schema.role_table_grants
           WHERE table_schema = 'public' AND grantee <> 'app_owner'
           AND privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')"""
    )
    assert rows == []


def test_the_role_of_operators_may_only_select(db: None) -> None:
    rows = query_rows(
        """SELECT DISTINCT table_name, privilege_type FROM information_schema.role_table_grants
           WHERE grantee = 'app_ops' AND privilege_type <> 'SELECT' ORDER BY 1, 2"""
    )
    assert rows == []


def test_public_and_the_engine_have_no_grants_on_tables(db: None) -> None:
    rows = query_rows(
        """SELECT c.relname, a.grantee::regrole FROM pg_class c
           JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a
           WHERE n.nspname = 'public'
           AND (a.grantee = 0 OR a.grantee = (SELECT oid FROM pg_roles WHERE rolname = 'app_engine'))"""
    )
    assert rows == []


def test_functions_that_run_as_their_owner_fix_their_search_path(db: None) -> None:
    rows = query_rows(
        """SELECT p.proname, coalesce(array_to_string(p.proconfig, ','), '')
           FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
           WHERE p.prosecdef AND n.nspname = 'public'"""
    )
    assert rows
    for name, configuration in rows:
        assert "search_path=public, pg_temp" in configuration, name


def test_only_roles_of_drover_may_call_functions_that_run_as_their_owner(db: None) -> None:
    rows = query_rows(
        """SELECT p.proname, coalesce(a.grantee::regrole::text, '-') FROM pg_proc p
           JOIN pg_namespace n ON n.oid = p.pronamespace,
           aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
           WHERE p.prosecdef AND n.nspname = 'public'"""
    )
    other_grants = {
        (name, role) for name, role in rows if role not in {"app_user", "app_ops", "app_owner"}
    }
    assert other_grants == set()


def test_every_view_reads_with_the_permissions_of_the_caller(db: None) -> None:
    rows = query_rows(
        """SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE c.relkind IN ('v', 'm') AND n.nspname = 'public'
           AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false)"""
    )
    assert rows == []


def test_audit_events_cannot_be_changed_or_deleted(db: None) -> None:
    rows = query_rows(
        """SELECT privilege_type FROM information_schema.role_table_grants
           WHERE grantee = 'app_user' AND table_name = 'orgs_auditevent' ORDER BY 1"""
    )
    assert rows == [("INSERT",), ("SELECT",)]
