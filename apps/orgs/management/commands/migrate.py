"""Django's `migrate`, which can be repeated if the database connection was lost."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import migrate
from django.db import transaction
from django.db.migrations.executor import MigrationExecutor


class WholeExecutor(MigrationExecutor):
    """Runs a migration and records it in one transaction.

    Django records a migration with deferred statements (indexes, keys) in a second transaction. If the
    connection is lost in between, the migration would run again although its tables exist.
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
        setattr(migrate, "MigrationExecutor", WholeExecutor)  # noqa: B010 - Django offers no other way in
        super().handle(*args, **options)
