"""The database's own catalogue: policies, keys, roles, functions, grants."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

OWNED_ELSEWISE = {"orgs_membership": "its policy also lets a user see their own memberships"}


def rows(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, list(values))
        return list(cursor.fetchall())


def org_tables() -> list[str]:
    return [
        name
        for (name,) in rows(
            """SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
               JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE a.attname = 'org_id' AND c.relkind IN ('r', 'p') AND NOT a.attisdropped
               AND n.nspname = 'public' ORDER BY 1"""
        )
    ]


def test_every_org_owned_model_is_a_table_the_guard_sees(db: None) -> None:
    from tests.guards.test_models import owned

    assert {model._meta.db_table for model in owned()} == set(org_tables())


def test_every_table_with_an_org_has_row_level_security_for_each_role(db: None) -> None:
    policies: dict[str, dict[str, tuple[str, str]]] = {}
    for table, roles, command, reads, writes in rows(
        """SELECT tablename, roles::text[], cmd, coalesce(qual, ''), coalesce(with_check, '')
           FROM pg_policies WHERE permissive = 'PERMISSIVE'"""
    ):
        for role in roles:
            if command == "ALL":
                policies.setdefault(table, {})[role] = (reads, writes)
    enabled = {name for (name,) in rows("SELECT relname FROM pg_class WHERE relrowsecurity")}
    for table in [*org_tables(), "orgs_org"]:
        assert table in enabled, f"{table}: use rls.protect in a migration"
        reads, writes = policies[table]["app_user"]
        function = (
            "app_org_or_null" if table in {*OWNED_ELSEWISE, "orgs_org"} else "app_current_org"
        )
        assert function in reads, table
        assert function in writes, table
        assert policies[table]["app_ops"], table


def test_no_policy_is_wider_than_its_org_but_the_two_listed(db: None) -> None:
    """A second permissive policy is an OR: only a user's own memberships and orgs may be readable by one."""
    wide = rows(
        """SELECT tablename, policyname, cmd FROM pg_policies
           WHERE 'app_user' = ANY (roles) AND policyname <> 'org_isolation' ORDER BY 1"""
    )
    assert wide == [("orgs_membership", "own", "SELECT"), ("orgs_org", "own", "SELECT")]


def test_every_table_with_an_org_can_be_referred_to_by_org_and_id(db: None) -> None:
    for table in org_tables():
        found = rows(
            """SELECT 1 FROM pg_constraint WHERE conrelid = %s::regclass AND contype IN ('u', 'p')
               AND (SELECT array_agg(attname::text ORDER BY attname) FROM pg_attribute
                    WHERE attrelid = conrelid AND attnum = ANY (conkey)) = ARRAY['id', 'org_id']""",
            table,
        )
        assert found, f"{table}: no unique (org_id, id)"


def test_every_reference_between_org_owned_tables_holds_both_to_one_org(db: None) -> None:
    from apps.orgs.tenancy import OrgOwned
    from tests.guards.test_models import owned

    composite = {
        (table, column)
        for table, column in rows(
            """SELECT conrelid::regclass::text, a.attname::text FROM pg_constraint k
               JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
               WHERE contype = 'f' AND array_length(conkey, 1) = 2 AND a.attname <> 'org_id'"""
        )
    }
    for model in owned():
        for field in model._meta.local_fields:
            target = field.related_model
            if not isinstance(target, type) or not issubclass(target, OrgOwned):
                continue
            place = (model._meta.db_table, field.column)
            assert place in composite, f"{place}: use rls.same_org in a migration"


def test_no_single_column_key_ties_two_org_owned_tables(db: None) -> None:
    tables = set(org_tables())
    single = rows(
        """SELECT conrelid::regclass::text, confrelid::regclass::text, conname FROM pg_constraint
           WHERE contype = 'f' AND array_length(conkey, 1) = 1"""
    )
    assert not [row for row in single if row[0] in tables and row[1] in tables]


def test_the_suite_runs_as_the_runtime_role(db: None) -> None:
    assert rows("SELECT current_user, session_user") == [("app_user", "app_user")]


@pytest.mark.parametrize("role", ["app_user", "app_ops", "app_engine", "app_owner"])
def test_no_role_of_ours_is_above_row_level_security(db: None, role: str) -> None:
    flags = rows(
        """SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication
           FROM pg_roles WHERE rolname = %s""",
        role,
    )
    assert flags == [(False,) * 5]


def test_the_runtime_roles_own_nothing_and_belong_to_no_other_role(db: None) -> None:
    runtime = "('app_user', 'app_ops', 'app_engine')"
    assert (
        rows(
            f"SELECT c.relname FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE rolname IN {runtime}"
        )
        == []
    )
    assert (
        rows(
            f"SELECT m.roleid FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE rolname IN {runtime}"
        )
        == []
    )


def test_nobody_may_truncate_or_refer_but_the_owner(db: None) -> None:
    """TRUNCATE bypasses row-level security; REFERENCES and TRIGGER run as the owner."""
    found = rows(
        """SELECT grantee, table_name, privilege_type FROM information_schema.role_table_grants
           WHERE table_schema = 'public' AND grantee <> 'app_owner'
           AND privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')"""
    )
    assert found == []


def test_operators_only_read(db: None) -> None:
    found = rows(
        """SELECT DISTINCT table_name, privilege_type FROM information_schema.role_table_grants
           WHERE grantee = 'app_ops' AND privilege_type <> 'SELECT' ORDER BY 1, 2"""
    )
    assert found == []


def test_everyone_and_the_engine_have_nothing_in_public(db: None) -> None:
    found = rows(
        """SELECT c.relname, a.grantee::regrole FROM pg_class c
           JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a
           WHERE n.nspname = 'public'
           AND (a.grantee = 0 OR a.grantee = (SELECT oid FROM pg_roles WHERE rolname = 'app_engine'))"""
    )
    assert found == []


def test_functions_that_run_as_their_owner_cannot_be_redirected(db: None) -> None:
    found = rows(
        """SELECT p.proname, coalesce(array_to_string(p.proconfig, ','), '')
           FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
           WHERE p.prosecdef AND n.nspname = 'public'"""
    )
    assert found
    for name, configuration in found:
        assert "search_path=public, pg_temp" in configuration, name


def test_functions_that_run_as_their_owner_answer_to_the_runtime_role_only(db: None) -> None:
    found = rows(
        """SELECT p.proname, coalesce(a.grantee::regrole::text, '-') FROM pg_proc p
           JOIN pg_namespace n ON n.oid = p.pronamespace,
           aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
           WHERE p.prosecdef AND n.nspname = 'public'"""
    )
    others = {(name, who) for name, who in found if who not in {"app_user", "app_ops", "app_owner"}}
    assert others == set()


def test_no_view_lends_its_owners_eyes(db: None) -> None:
    found = rows(
        """SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE c.relkind IN ('v', 'm') AND n.nspname = 'public'
           AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false)"""
    )
    assert found == []


def test_the_trail_cannot_be_rewritten(db: None) -> None:
    found = rows(
        """SELECT privilege_type FROM information_schema.role_table_grants
           WHERE grantee = 'app_user' AND table_name = 'orgs_auditevent' ORDER BY 1"""
    )
    assert found == [("INSERT",), ("SELECT",)]
