from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand

if TYPE_CHECKING:
    from apps.background.health import Finding


class Command(BaseCommand):
    """Check whether this release may be installed over the one that runs: migrations, processes, backup and disk space.

    Run it with the new release, before `migrate`. It changes nothing. The exit code is 1 if a check fails.
    """

    help = __doc__ or ""
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--backup", type=Path, metavar="FILE", help="the newest backup")
        parser.add_argument(
            "--backup-elsewhere",
            action="store_true",
            help="there is a new backup of another kind, such as a snapshot of the database server",
        )
        parser.add_argument(
            "--hours",
            type=float,
            default=24.0,
            help="how old the backup may be (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        from apps.orgs.operators.findings import print_findings
        from apps.orgs.operators.upgrades import checks

        self.stdout.write(f"Drover {settings.VERSION}")
        findings = list(checks.run_checks())
        if not options["backup_elsewhere"]:
            findings.append(_check_backup(options["backup"], timedelta(hours=options["hours"])))
        print_findings(findings, self)


def _check_backup(file: Path | None, max_age: timedelta) -> Finding:
    from apps.background.health import Finding
    from apps.orgs.operators.upgrades import checks
    from local.backups import archive
    from local.errors import LocalError

    step = "Run `manage.py backup FILE --keys KEYS`, and this command with --backup FILE."
    if file is None:
        return Finding("backup", False, "no backup was named", step)
    try:
        made_at = datetime.fromisoformat(archive.read_header(file).at)
    except (LocalError, OSError) as error:
        return Finding("backup", False, str(error), step)
    return checks.check_backup(made_at, max_age)
