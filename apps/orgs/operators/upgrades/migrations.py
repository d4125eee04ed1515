"""Find the migrations of an upgrade that harm the processes of the release before."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.state import ProjectState

from apps.orgs.operators.upgrades.statements import Harm, Judge

LAST_RELEASE_FILE = Path(__file__).with_name("last_release.toml")
UNREADABLE = "Django cannot write its SQL without applying it: judge it by hand"
Key = tuple[str, str]  # app, name of the migration

# Migrations whose harm was judged and accepted, with the reason. A guard fails if a migration here is harmless.
ACCEPTED: dict[Key, str] = {
    ("runs", "0025_runs_finished"): (
        "Runs cannot be claimed or ended while the index is made: 3 seconds for a million runs, measured on a busy "
        "machine. Workers try again until it is done."
    ),
    ("connectors", "0017_ends"): (
        "The release before does not have the columns that it removes: they were added since."
    ),
}


@dataclass(frozen=True, slots=True)
class LastRelease:
    """The release before this code: its version, its commit, and the last migration of each app in it."""

    version: str
    commit: str
    migrations: dict[str, str]


@dataclass(frozen=True, slots=True)
class HarmfulMigration:
    key: Key
    harms: tuple[Harm, ...]

    @property
    def accepted_because(self) -> str | None:
        return ACCEPTED.get(self.key)

    def __str__(self) -> str:
        lines = [f"{'.'.join(self.key)}:"]
        lines += [f"  {harm.statement[:200]}\n    {harm.reason}" for harm in self.harms]
        return "\n".join(lines)


@cache
def read_last_release() -> LastRelease:
    return LastRelease(**tomllib.loads(LAST_RELEASE_FILE.read_text()))


def migrations_since_last_release() -> tuple[list[Migration], ProjectState]:
    """Return the migrations that the release before does not have, in their order, and its state of the models."""
    loader = MigrationLoader(None, replace_migrations=False)
    released_leaves = list(read_last_release().migrations.items())
    released = {key for leaf in released_leaves for key in loader.graph.forwards_plan(leaf)}
    plan: dict[Key, Migration] = {}
    leaves = [key for key in loader.graph.leaf_nodes() if not loader.graph.nodes[key].replaces]
    for key in (key for leaf in leaves for key in loader.graph.forwards_plan(leaf)):
        if key not in released:
            plan[key] = loader.graph.nodes[key]
    return list(plan.values()), loader.project_state(released_leaves)


def find_harmful_migrations(
    migrations: list[Migration], state: ProjectState, connection: BaseDatabaseWrapper
) -> list[HarmfulMigration]:
    """Return the migrations that harm a release whose models are `state`. Changes neither the database nor `state`."""
    judge, found, state = Judge(), [], state.clone()
    reader = connection.copy()  # outside of a transaction, which AddIndexConcurrently requires
    try:
        for migration in migrations:
            statements, state = _read_statements(migration, state, reader)
            harms = [harm for sql in statements for harm in judge.find_harms(sql)]
            if UNREADABLE in statements:
                harms.append(Harm("?", UNREADABLE))
            if harms:
                found.append(HarmfulMigration((migration.app_label, migration.name), tuple(harms)))
    finally:
        reader.close()
    return found


def _read_statements(
    migration: Migration, state: ProjectState, connection: BaseDatabaseWrapper
) -> tuple[list[str], ProjectState]:
    """Return the SQL of a migration, which is not executed, and the models after it."""
    try:
        with connection.schema_editor(collect_sql=True, atomic=migration.atomic) as editor:
            after = migration.apply(state.clone(), editor, collect_sql=True)
        return list(editor.collected_sql), after
    except ValueError:  # It needs the name of a constraint that an earlier migration creates.
        return [UNREADABLE], migration.mutate_state(state, preserve=True)
