"""The checks of `manage.py upgrade_check`, which the new release runs before it migrates the database.

Each `check_` function is one check. Its docstring says what must be true.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.migration import Migration

from apps.background import health
from apps.background.health import Finding, run_check
from apps.orgs.operators.upgrades.migrations import (
    HarmfulMigration,
    find_harmful_migrations,
    read_last_release,
)

GUIDE = "docs/howto/upgrade.md"
DATABASE_STEP = "Check DATABASE_URL and that the database is prepared."
# The name that each process of Drover gives its connections: config.settings.
PROCESS_NAME = re.compile(r"drover-(?P<kind>web|worker) \d+@\S+(?: (?P<version>\S+))?")
PROCESSES_SQL = """
    SELECT DISTINCT application_name FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE ANY ('{drover-web %%,drover-worker %%}')
"""


def run_checks() -> Iterator[Finding]:
    """Run all checks except that of the backup."""
    database = health.check_database()
    yield database
    yield health.check_disk_space()
    if not database.ok:
        return
    yield run_check("migrations", check_migrations, DATABASE_STEP)
    yield run_check("newer", check_database_is_not_newer, DATABASE_STEP)
    yield run_check("processes", check_processes, DATABASE_STEP)


def check_migrations() -> Finding:
    """No migration that will be applied harms the processes that run now."""
    executor = MigrationExecutor(connection)
    plan = [step for step, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]
    if not plan:
        return Finding("migrations", True, "all applied")
    harmful = [] if _is_new(executor) else _find_harmful(executor, plan)
    seen = f"{len(plan)} will be applied: {_list_names(plan)}"
    for migration in harmful:
        if reason := migration.accepted_because:
            seen = f"{seen}; {'.'.join(migration.key)}: {reason}"
    refused = [migration for migration in harmful if not migration.accepted_because]
    if not refused:
        return Finding("migrations", True, seen)
    seen = f"{seen}; harmful while processes of an older release run: {'; '.join(map(_summary, refused))}"
    step = f"Stop the processes of the older release before you migrate: {GUIDE}."
    return Finding("migrations", False, seen, step)


def _is_new(executor: MigrationExecutor) -> bool:
    return not any(app == "orgs" for app, _ in executor.loader.applied_migrations)


def _find_harmful(executor: MigrationExecutor, plan: list[Migration]) -> list[HarmfulMigration]:
    graph = executor.loader.graph
    applied = [key for key in executor.loader.applied_migrations if key in graph.nodes]
    return find_harmful_migrations(plan, executor.loader.project_state(applied), connection)


def _list_names(plan: list[Migration]) -> str:
    return ", ".join(f"{migration.app_label}.{migration.name}" for migration in plan)


def _summary(migration: HarmfulMigration) -> str:
    return f"{'.'.join(migration.key)} ({migration.harms[0].reason})"


def check_database_is_not_newer() -> Finding:
    """The database has no migration that this release does not know."""
    loader = MigrationExecutor(connection).loader
    unknown = sorted(
        ".".join(key)
        for key in loader.applied_migrations
        if key[0] in loader.migrated_apps and key not in loader.disk_migrations
    )
    if not unknown:
        return Finding("newer", True, "the database was not migrated by a newer release")
    seen = f"the database was migrated by a newer release: {', '.join(unknown)}"
    return Finding("newer", False, seen, f"Go back by one release at most: {GUIDE}.")


def check_processes() -> Finding:
    """All web processes and workers that use the database are of this release or of the release before."""
    allowed = {settings.VERSION, read_last_release().version}
    names = [PROCESS_NAME.match(name) for (name,) in health.fetch_rows(PROCESSES_SQL)]
    counts = Counter((name["kind"], name["version"] or "") for name in names if name)
    seen = ", ".join(
        f"{kind} {version or 'without a version'}: {count}"
        for (kind, version), count in sorted(counts.items())
    )
    old = [version for _, version in counts if version not in allowed]
    step = (
        f"Stop the processes of releases other than {' and '.join(sorted(filter(None, allowed)))}."
    )
    return Finding("processes", not old, seen or "none uses the database", step)


def check_backup(made_at: datetime, max_age: timedelta) -> Finding:
    """The backup is not older than `max_age`."""
    age = datetime.now(UTC) - made_at
    step = "Make a new one: `manage.py backup FILE --keys KEYS`."
    hours = age / timedelta(hours=1)
    return Finding("backup", age <= max_age, f"made {hours:.1f} hours ago", step)
