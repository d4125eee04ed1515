"""The release before keeps working while an upgrade migrates the database: no migration since then harms it."""

from __future__ import annotations

from functools import cache

import pytest
from django.contrib.postgres.functions import RandomUUID
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import connection, migrations, models
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models.functions import Now

from apps.orgs.operators.upgrades import statements
from apps.orgs.operators.upgrades.migrations import (
    ACCEPTED,
    find_harmful_migrations,
    migrations_since_last_release,
)

INDEX = models.Index(fields=["finished_at"], name="planted_index")


def test_no_migration_since_the_last_release_harms_it(db: None) -> None:
    found = find_harmful_migrations(*migrations_since_last_release(), connection)

    not_accepted = [str(migration) for migration in found if not migration.accepted_because]
    assert not not_accepted, "\n".join(not_accepted)
    assert {migration.key for migration in found} == set(ACCEPTED), (
        "remove what is accepted in vain"
    )


@cache
def released_state() -> ProjectState:
    """Return the models of the release before. No test changes them, and reading them takes a second."""
    _, state = migrations_since_last_release()
    return state


def judge_planted(*operations: Operation, atomic: bool = True) -> list[str]:
    """Return the reasons why a migration of the app runs with these operations is harmful."""
    planted = type("Planted", (migrations.Migration,), {"operations": operations, "atomic": atomic})
    migration = planted("9999_planted", "runs")
    found = find_harmful_migrations([migration], released_state(), connection)
    return [harm.reason for harmful in found for harm in harmful.harms]


HARMFUL_OPERATIONS = {
    "a column is removed": (migrations.RemoveField("run", "trigger"), statements.REMOVES),
    "a table is removed": (migrations.DeleteModel("Event"), statements.REMOVES),
    "a column is renamed": (
        migrations.RenameField("run", "trigger", "cause"),
        statements.RENAMES,
    ),
    "a table is renamed": (migrations.AlterModelTable("run", "runs_execution"), statements.RENAMES),
    "a new column needs a value": (
        migrations.AddField("run", "speed", models.FloatField(default=0)),
        statements.NEEDS_VALUE,
    ),
    "each row gets a computed value": (
        migrations.AddField("run", "code", models.UUIDField(db_default=RandomUUID())),
        statements.REWRITES,
    ),
    "a type changes": (
        migrations.AlterField("run", "trigger", models.TextField()),
        statements.REWRITES,
    ),
    "a column must have a value": (
        migrations.AlterField("run", "finished_at", models.DateTimeField(db_default=Now())),
        statements.REFUSES,
    ),
    "an index blocks writes": (migrations.AddIndex("run", INDEX), statements.BLOCKS),
    "a new rule reads the table": (
        migrations.AddConstraint(
            "run", models.CheckConstraint(condition=models.Q(pk__isnull=False), name="planted")
        ),
        statements.REFUSES,
    ),
}


@pytest.mark.parametrize(
    ("operation", "reason"), HARMFUL_OPERATIONS.values(), ids=HARMFUL_OPERATIONS
)
def test_a_planted_harmful_migration_is_found(db: None, operation: Operation, reason: str) -> None:
    assert reason in judge_planted(operation)


def test_what_is_safe_for_the_release_before_passes(db: None) -> None:
    assert (
        judge_planted(
            migrations.AddField("run", "note", models.TextField(null=True)),
            migrations.AddField("run", "speed", models.FloatField(db_default=0)),
            migrations.AddField("run", "seen_at", models.DateTimeField(db_default=Now())),
            migrations.AlterField("run", "speed", models.FloatField(null=True, db_default=0)),
        )
        == []
    )
    assert judge_planted(AddIndexConcurrently("run", INDEX), atomic=False) == []


def test_a_table_of_the_same_upgrade_may_be_changed_in_any_way(db: None) -> None:
    assert (
        judge_planted(
            migrations.CreateModel("Thing", [("id", models.BigAutoField(primary_key=True))]),
            migrations.AddField("thing", "name", models.TextField(default="")),
            migrations.AddIndex("thing", models.Index(fields=["name"], name="planted_index")),
            migrations.RunSQL("REVOKE DELETE ON runs_thing FROM app_user"),
        )
        == []
    )


@pytest.mark.parametrize(
    ("sql", "reasons"),
    [
        ("ALTER TABLE runs_run DROP COLUMN a, ADD COLUMN b text", [statements.REMOVES]),
        ("ALTER TABLE runs_run DROP a", [statements.REMOVES]),
        ("-- DROP TABLE runs_run;\nSELECT 'DROP TABLE runs_run;'", []),
        ("ALTER TABLE runs_run ADD b numeric(3, 1) NOT NULL", [statements.NEEDS_VALUE]),
        ("ALTER TABLE ONLY public.runs_run ADD b int NOT NULL DEFAULT 0", []),
        ("ALTER TABLE runs_run ADD b timestamptz DEFAULT clock_timestamp()", [statements.REWRITES]),
        ("ALTER TABLE runs_run ADD b bigserial", [statements.REWRITES]),
        ("ALTER TABLE runs_run ALTER b SET NOT NULL, ALTER c DROP DEFAULT",
         [statements.REFUSES, statements.NEEDS_VALUE]),
        ("ALTER TABLE runs_run ADD CHECK (a > 0), DROP CONSTRAINT b", [statements.REFUSES]),
        ("ALTER TABLE runs_run ADD FOREIGN KEY (a) REFERENCES b NOT VALID", [statements.REFUSES]),
        ("ALTER TABLE runs_run ADD a int; ALTER TABLE runs_run ADD FOREIGN KEY (o, a) REFERENCES b NOT VALID;"
         "ALTER TABLE runs_run VALIDATE CONSTRAINT x", []),
        ("ALTER TABLE runs_run ADD a int; ALTER TABLE runs_run ADD FOREIGN KEY (a) REFERENCES b",
         [statements.REFUSES]),
        ("create unique index concurrently a on runs_run (b)", [statements.REFUSES]),
        ("LOCK TABLE runs_run; TRUNCATE runs_run", [statements.LOCKS, statements.REMOVES]),
        ("DROP FUNCTION IF EXISTS runs_claim(uuid); CREATE FUNCTION runs_claim() RETURNS int"
         " LANGUAGE sql AS $$ DROP TABLE a; SELECT 1 $$", [statements.REMOVES]),
        ("REVOKE UPDATE, DELETE ON runs_run FROM app_user", [statements.HIDES]),
        ("ALTER TABLE runs_run ENABLE ROW LEVEL SECURITY", [statements.HIDES]),
        ("UPDATE runs_run SET a = 1", []),
    ],
)  # fmt: skip
def test_sql_is_judged_like_operations(sql: str, reasons: list[str]) -> None:
    assert [harm.reason for harm in statements.Judge().find_harms(sql)] == reasons
