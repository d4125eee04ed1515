"""No migration is missing. The migrations of an app are numbered without gaps, named, and run by the owner."""

from __future__ import annotations

import itertools
import re
from io import StringIO

from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from tests.guards.test_models import APP_LABELS


def test_no_model_changed_without_a_migration(db: None) -> None:
    call_command("makemigrations", check=True, dry_run=True, stdout=StringIO())


def test_the_migrations_of_each_app_are_linear_and_named(db: None) -> None:
    loader = MigrationLoader(connection)
    assert loader.detect_conflicts() == {}
    for label in APP_LABELS:
        names = sorted(
            name
            for (app_label, name), migration in loader.disk_migrations.items()
            if app_label == label and not migration.replaces
        )
        numbers = [int(name[:4]) for name in names]
        assert numbers == list(range(1, len(numbers) + 1)), f"{label}: {names}"
        for name in names:
            assert not re.search(r"_auto_|_alter_.*_and_more$", name), f"{label}.{name}: name it"
        for before, after in itertools.pairwise(names):
            parents = loader.disk_migrations[(label, after)].dependencies
            assert (label, before) in parents, f"{label}.{after} does not follow {before}"


def test_every_migration_was_applied_by_the_owner(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT DISTINCT r.rolname FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
               JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'public' AND c.relkind = 'r'"""
        )
        assert cursor.fetchall() == [("app_owner",)]
