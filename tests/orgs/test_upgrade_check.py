"""`manage.py upgrade_check` says before an upgrade whether processes of the release before may run meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from apps.orgs.operators.upgrades import migrations
from local.backups import archive


def check(*arguments: str | Path) -> tuple[int, str]:
    """Return the exit code and the output of the command."""
    out = StringIO()
    try:
        call_command("upgrade_check", *map(str, arguments), stdout=out)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def make_backup(file: Path, made_at: datetime) -> Path:
    header = archive.Header("id", made_at.isoformat(), 180006, 18, [], {}, {}, 0)
    with file.open("wb") as content:
        writer = archive.Writer(content, lambda _: None)
        archive.write_header(writer, header)
        writer.close()
    return file


@contextmanager
def running_process(name: str) -> Iterator[None]:
    """Use the database like a process of Drover with this name."""
    url = settings.DATABASE_ROLE_URLS["app_user"]
    with psycopg.connect(url, application_name=name):
        yield


def delete_from_history(app: str, name: str) -> int:
    """Make the database look as if it had neither this migration nor later ones of the app. Returns their number."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = %s AND name >= %s", [app, name])
        assert cursor.rowcount
        return int(cursor.rowcount)


def test_an_upgrade_with_a_new_backup_and_processes_of_the_same_release_passes(
    db: None, tmp_path: Path
) -> None:
    backup = make_backup(tmp_path / "backup", datetime.now(UTC) - timedelta(hours=2))
    with running_process(f"drover-worker 1@a {settings.VERSION}"):
        code, output = check("--backup", backup)
    assert code == 0, output
    assert output.startswith(f"Drover {settings.VERSION}\n")
    assert f"worker {settings.VERSION}: 1" in output
    assert "made 2.0 hours ago" in output


@pytest.mark.parametrize("kind", ["web", "worker"])
def test_a_process_of_another_release_is_named(db: None, kind: str) -> None:
    with running_process(f"drover-{kind} 1@a 0.0.1"):
        code, output = check("--backup-elsewhere")
    assert code == 1
    assert f"{kind} 0.0.1: 1" in output
    assert f"Stop the processes of releases other than {settings.VERSION}" in output


def test_a_backup_is_missing_too_old_or_damaged(db: None, tmp_path: Path) -> None:
    assert "no backup was named" in check()[1]

    old = make_backup(tmp_path / "old", datetime.now(UTC) - timedelta(hours=30))
    code, output = check("--backup", old)
    assert (code, "made 30.0 hours ago" in output) == (1, True)
    assert check("--backup", old, "--hours", "48")[0] == 0

    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"not a backup")
    assert check("--backup", damaged)[0] == 1
    assert "No such file" in check("--backup", tmp_path / "missing")[1]


def test_migrations_that_will_be_applied_are_listed(db: None) -> None:
    count = delete_from_history("runs", "0026_durations_of_last_runs")
    code, output = check("--backup-elsewhere")
    assert code == 0, output
    assert f"{count} will be applied: runs.0026_durations_of_last_runs" in output


def test_a_harmful_migration_fails_unless_it_was_accepted(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete_from_history("runs", "0025_runs_finished")
    code, output = check("--backup-elsewhere")
    assert code == 0, output
    assert migrations.ACCEPTED[("runs", "0025_runs_finished")] in output

    monkeypatch.setattr(migrations, "ACCEPTED", {})
    code, output = check("--backup-elsewhere")
    assert code == 1
    assert "runs.0025_runs_finished (nobody can write to the table" in output
    assert "Stop the processes of the older release before you migrate" in output


def test_a_database_of_a_newer_release_is_recognized(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('runs', '9999_future', now())"
        )
    code, output = check("--backup-elsewhere")
    assert code == 1
    assert "migrated by a newer release: runs.9999_future" in output
