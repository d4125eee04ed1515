"""A new installation applies one squashed migration per app. It has the same tables as an older installation, to which
the replaced migrations were applied one after the other (ADR 89).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration

from local.database.binaries import wheel_binaries
from local.database.roles import prepare_database
from tests import database
from tests.guards.test_models import APP_LABELS

# An installation of an older release: all of some apps, a part of others, and nothing of the newest app.
OLD_RELEASES = {
    "early": [("runs", "0002_walls")],
    "with agent": [("runs", "0014_output_database"), ("agent", "0003_checkpoints")],
}


def squashed_migrations() -> dict[str, Migration]:
    """Return {app: its squashed migration}."""
    migrations = MigrationLoader(None).disk_migrations.values()
    return {m.app_label: m for m in migrations if m.replaces and m.app_label in APP_LABELS}


def test_a_squashed_migration_replaces_all_migrations_up_to_the_one_in_its_name() -> None:
    loader = MigrationLoader(None)
    for app, migration in squashed_migrations().items():
        last_name = migration.name.removeprefix("0001_squashed_")
        older = sorted(
            key
            for key, other in loader.disk_migrations.items()
            if key[0] == app and not other.replaces and key[1] <= last_name
        )
        assert migration.replaces == older


def test_no_migration_depends_on_a_squashed_one() -> None:
    """Django ignores a squashed migration in an installation to which a part of the replaced ones was applied."""
    squashed = {(app, migration.name) for app, migration in squashed_migrations().items()}
    for key, migration in MigrationLoader(None).disk_migrations.items():
        assert not squashed.intersection(migration.dependencies), (
            f"{key}: depend on the last migration that the squashed one replaces"
        )


def test_a_squashed_migration_has_the_dependencies_of_the_migrations_that_it_replaces() -> None:
    """With further dependencies, Django would refuse an installation to which only the replaced ones were applied."""
    migrations = MigrationLoader(None).disk_migrations
    for app, migration in squashed_migrations().items():
        replaced = [migrations[key] for key in migration.replaces]
        needed = {key for other in replaced for key in other.dependencies if key[0] != app}
        assert set(migration.dependencies) == newest_of_each_app(needed), app


def newest_of_each_app(keys: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the last migration of each app, and each dependency on whichever migration is the first of its app."""
    newest = dict(sorted(key for key in keys if key[1] != "__first__"))
    return set(newest.items()) | {key for key in keys if key[1] == "__first__"}


def test_all_of_the_replaced_migrations_stand_for_the_squashed_ones(db: None) -> None:
    squashed = sorted(migration.name for migration in squashed_migrations().values())
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM django_migrations WHERE name = ANY (%s) RETURNING name", [squashed]
        )
        assert sorted(name for (name,) in cursor.fetchall()) == squashed

    executor = MigrationExecutor(connection)
    assert executor.migration_plan(executor.loader.graph.leaf_nodes()) == []
    executor.check_replacements()  # `migrate` calls this

    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM django_migrations WHERE name = ANY (%s)", [squashed])
        assert sorted(name for (name,) in cursor.fetchall()) == squashed


@pytest.fixture
def old_installation(db: None, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database with the migrations of an older release."""
    old_database = f"{database.process_database_name()}_before"
    with psycopg.connect(database.url_of("postgres"), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {old_database} WITH (FORCE)")
        url = database.url_of(old_database)
        prepare_database(url, os.environ["SECRET_KEY"])
        for app, name in OLD_RELEASES[request.param]:
            database.migrate_to(url, app, name)
        yield url
        admin.execute(f"DROP DATABASE {old_database} WITH (FORCE)")


@pytest.mark.long
@pytest.mark.parametrize("old_installation", OLD_RELEASES, indirect=True)
def test_an_upgraded_installation_has_the_same_schema_as_a_new_one(old_installation: str) -> None:
    database.migrate(old_installation)

    new_installation = database.url_of(database.process_database_name())
    assert read_schema(old_installation) == read_schema(new_installation)


def read_schema(url: str) -> list[str]:
    """Return the definitions of tables, indexes, constraints, functions, triggers, policies and grants."""
    options = ["--schema-only", "--exclude-schema=engine"]
    command: list[str | Path] = [wheel_binaries() / "pg_dump", *options, url]
    dump = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [
        line for line in dump.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))
    ]
