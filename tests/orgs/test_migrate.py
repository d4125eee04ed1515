"""A migration that lost its database connection can be run again, because each migration is one transaction."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.commands import migrate
from django.db import OperationalError, connection, migrations, models
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import ProjectState

from apps.orgs.management.commands.migrate import OneTransactionExecutor
from tests import database


@pytest.fixture
def grant_create_on_schema(committed_db: None) -> Iterator[None]:
    """Let the role of the tests create tables during a test."""
    with psycopg.connect(
        database.url_of(database.process_database_name()), autocommit=True
    ) as admin:
        admin.execute("GRANT CREATE ON SCHEMA public TO app_user")
        try:
            yield
        finally:
            admin.execute("DROP TABLE IF EXISTS cut_thing")
            admin.execute("REVOKE CREATE ON SCHEMA public FROM app_user")


class Migration(migrations.Migration):
    """A migration whose index is created at the end. Django would record the migration in a second transaction."""

    operations = [
        migrations.CreateModel(
            "Thing",
            [
                ("id", models.IntegerField(primary_key=True)),
                ("name", models.CharField(max_length=9, db_index=True)),
            ],
        )
    ]


@pytest.mark.parametrize(
    ("executor", "leaves_table"), [(MigrationExecutor, True), (OneTransactionExecutor, False)]
)
def test_a_migration_that_fails_before_it_is_recorded_leaves_a_table_only_with_djangos_executor(
    grant_create_on_schema: None,
    monkeypatch: pytest.MonkeyPatch,
    executor: type[MigrationExecutor],
    leaves_table: bool,
) -> None:
    def lose_connection(*_: object) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(executor, "record_migration", lose_connection)
    with pytest.raises(OperationalError):
        executor(connection).apply_migration(ProjectState(), Migration("0001_initial", "cut"))
    assert ("cut_thing" in connection.introspection.table_names()) is leaves_table


def test_the_migrate_command_uses_the_one_transaction_executor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used_executors: list[object] = []
    monkeypatch.setattr(migrate, "MigrationExecutor", MigrationExecutor)  # restored after the test
    monkeypatch.setattr(
        migrate.Command,
        "handle",
        lambda *_, **__: used_executors.append(vars(migrate)["MigrationExecutor"]),
    )
    load_command_class(get_commands()["migrate"], "migrate").handle()
    assert used_executors == [OneTransactionExecutor]
