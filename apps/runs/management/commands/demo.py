"""Create the demo org with its pipelines, run them through the queue, and check the results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.orgs.models import Org
from apps.orgs.walls.scope import org_scope
from apps.pipelines.models import Pipeline
from apps.runs.demo import check
from apps.runs.demo.locations import Locations
from apps.runs.demo.org import Login, ensure_org
from apps.runs.demo.pipelines import ensure_pipelines
from apps.runs.demo.watch import run_unsuccessful_pipelines
from apps.runs.models import Run


class Command(BaseCommand):
    """`manage.py demo --report FILE`: safe to repeat; pipelines that succeeded are not run again."""

    help = "Create the demo org with its pipelines, run them, and compare each destination with its source."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--report", type=Path, help="write the log-in and the results to this JSON file"
        )

    def handle(self, *args: Any, report: Path | None = None, **options: Any) -> None:
        locations = Locations.from_settings()
        org, by, login = ensure_org(password=locations.password)
        with org_scope(org.pk):
            pipelines = ensure_pipelines(org, by, locations)
        runs, started = run_unsuccessful_pipelines(org, by, pipelines, self._print_line)
        verified_entries = _read_verified_entries(report)
        entries = []
        for stream, pipeline in pipelines.items():
            run = runs[stream]
            entry = verified_entries.get(str(run.pk)) if stream not in started else None
            if entry is None:
                with org_scope(org.pk):
                    entry = _check_pipeline(stream, pipeline, org=org, run=run, locations=locations)
            entries.append(entry)
            self._print_line(f"    {entry['name']:<26} {entry['rows']:>9,} rows equal the source")
            self._print_line(f"        {entry['where']}")
        if report:
            _write_report(report, org, login, entries)

    def _print_line(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _check_pipeline(
    stream: str, pipeline: Pipeline, *, org: Org, run: Run, locations: Locations
) -> dict[str, Any]:
    """Return the pipeline's entry in the report. Raises CommandError if the destination differs from the source."""
    rows, differences = check.find_differences(stream, org=org, run=run, locations=locations)
    if differences:
        raise CommandError(f"{pipeline.name} differs from its source: {'; '.join(differences)}")
    return {
        "id": str(pipeline.pk),
        "name": pipeline.name,
        "run_id": str(run.pk),
        "status": run.status,
        "source": pipeline.source_kind,
        "destination": pipeline.destination_kind,
        "rows": rows,
        "where": check.describe_location(stream, org=org, run=run, locations=locations),
        "verified": True,
    }


def _read_verified_entries(report: Path | None) -> dict[str, dict[str, Any]]:
    """Return the verified entries of the last report by run id. They are not checked again."""
    if report is None:
        return {}
    try:
        rows = json.loads(report.read_text())["pipelines"]
    except (OSError, ValueError, KeyError):
        return {}
    return {entry["run_id"]: entry for entry in rows if entry.get("verified")}


def _write_report(report: Path, org: Org, login: Login, pipelines: list[dict[str, Any]]) -> None:
    """Write the file atomically. Only its owner can read it, because it contains the password."""
    content = {
        "url": settings.PUBLIC_URL,
        "email": login.email,
        "password": login.password,
        "organization": org.name,
        "organization_id": str(org.pk),
        "pipelines": pipelines,
    }
    temporary_file = report.with_name(report.name + ".new")
    temporary_file.unlink(missing_ok=True)
    temporary_file.touch(mode=0o600)
    temporary_file.write_text(json.dumps(content, indent=2) + "\n")
    temporary_file.replace(report)
