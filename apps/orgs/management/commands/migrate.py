"""Django's `migrate`, changed so that it can be repeated after a lost database connection."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import migrate
from django.db import transaction
from django.db.migrations.executor import MigrationExecutor


class OneTransactionExecutor(MigrationExecutor):
    """Runs a migration and records it in one transaction.

    Django uses a second transaction to record a migration with deferred statements (indexes, keys). If the
    connection is lost between the two transactions, the next `migrate` fails because the tables exist already.
    """

    def apply_migration(
        self, state: Any, migration: Any, fake: bool = False, fake_initial: bool = False
    ) -> Any:
        if not migration.atomic:
            return super().apply_migration(state, migration, fake, fake_initial)
        with transaction.atomic(using=self.connection.alias):
            return super().apply_migration(state, migration, fake, fake_initial)


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        setattr(migrate, "MigrationExecutor", OneTransactionExecutor)  # noqa: B010 - Django has no setting for it
        super().handle(*args, **options)
