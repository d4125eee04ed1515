"""The database functions of new and of upgraded installations match the `.sql` files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from apps.orgs.walls.sql_functions import APPS_FOLDER, InstallFunctions, digest, read_sql
from local.database.roles import prepare_database
from tests import database

FUNCTIONS_OF_DROVER = "n.nspname = 'public' AND p.proname !~ '^procrastinate_'"
SELECT_DEFINITIONS = f"""
    SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid), p.proacl::text, r.rolname
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles r ON r.oid = p.proowner
    WHERE {FUNCTIONS_OF_DROVER} ORDER BY 1
"""
# Defined in apps/orgs/walls/rls.py.
FUNCTIONS_IN_RLS = {"app_current_org", "app_org_or_null", "app_user_or_null"}
OLD_DATABASE = "functions_of_an_old_installation"


def sql_files() -> list[str]:
    return sorted(str(path.relative_to(APPS_FOLDER)) for path in APPS_FOLDER.rglob("*.sql"))


def install_operations() -> list[tuple[str, str, InstallFunctions]]:
    """Return (app, migration, operation) of each InstallFunctions, oldest first."""
    migrations = sorted(MigrationLoader(None).disk_migrations.items())
    return [
        (app, name, operation)
        for (app, name), migration in migrations
        for operation in migration.operations
        if isinstance(operation, InstallFunctions)
    ]


def test_each_sql_file_is_installed_by_a_migration_in_its_current_version() -> None:
    newest_digests: dict[str, str] = {}
    for _, _, operation in install_operations():
        newest_digests |= operation.files
    for path in sql_files():
        expected = digest(read_sql(path))
        assert newest_digests.get(path) == expected, (
            f"apps/{path} has changed: add a migration with"
            f' InstallFunctions({{"{path}": "{expected}"}})'
        )


def test_every_function_is_defined_in_one_file(db: None) -> None:
    pattern = re.compile(r"^CREATE OR REPLACE FUNCTION (\w+)\(", re.M)
    defined = [name for path in sql_files() for name in pattern.findall(read_sql(path))]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {FUNCTIONS_OF_DROVER}"
        )
        found = [name for (name,) in cursor.fetchall() if name not in FUNCTIONS_IN_RLS]
    assert sorted(found) == sorted(defined)


def migrations_before_files() -> dict[str, str]:
    """Return {app: the last migration before the first one that installs functions from files}."""
    before: dict[str, str] = {}
    for (app, _), migration in sorted(MigrationLoader(None).disk_migrations.items()):
        installs = any(
            isinstance(operation, InstallFunctions) for operation in migration.operations
        )
        if installs and not migration.replaces and app not in before:
            before[app] = next(name for label, name in migration.dependencies if label == app)
    return before


@pytest.fixture
def old_installation(db: None) -> Iterator[str]:
    """The URL of a database with the migrations before those that install functions from files."""
    with psycopg.connect(database.url_of("postgres"), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {OLD_DATABASE} WITH (FORCE)")
        url = database.url_of(OLD_DATABASE)
        prepare_database(url, os.environ["SECRET_KEY"])
        for app, name in migrations_before_files().items():
            database.migrate_to(url, app, name)
        yield url
        admin.execute(f"DROP DATABASE {OLD_DATABASE} WITH (FORCE)")


@pytest.mark.long
def test_an_upgraded_installation_has_the_same_functions_as_a_new_one(
    old_installation: str,
) -> None:
    with psycopg.connect(old_installation, autocommit=True) as old_database:
        functions_before = old_database.execute(SELECT_DEFINITIONS).fetchall()
        database.migrate(old_installation)
        functions_after = old_database.execute(SELECT_DEFINITIONS).fetchall()
    with psycopg.connect(database.url_of(database.process_database_name())) as new_database:
        assert functions_after == new_database.execute(SELECT_DEFINITIONS).fetchall()
    assert {row[0] for row in functions_before} <= {row[0] for row in functions_after}
