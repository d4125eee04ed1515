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
from apps.runs.demo.watch import run_where_needed
from apps.runs.models import Run


class Command(BaseCommand):
    """`manage.py demo --report FILE`: safe to repeat; pipelines that succeeded are not run again."""

    help = (
        "Create the demo org with its pipelines, run them, and check every row at the destinations."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--report", type=Path, help="write the output to this JSON file too")

    def handle(self, *args: Any, report: Path | None = None, **options: Any) -> None:
        locations = Locations.from_settings()
        org, by, login = ensure_org(password=locations.password)
        with org_scope(org.pk):
            pipelines = ensure_pipelines(org, by, locations)
        runs, fresh = run_where_needed(org, by, pipelines, self._say)
        known = _checked_before(report)
        shown = []
        for stream, pipeline in pipelines.items():
            run = runs[stream]
            row = known.get(str(run.pk)) if stream not in fresh else None
            if row is None:
                with org_scope(org.pk):
                    row = _checked(stream, pipeline, org=org, run=run, locations=locations)
            shown.append(row)
            self._say(f"    {row['name']:<26} {row['rows']:>9,} rows equal the source")
            self._say(f"        {row['where']}")
        if report:
            _write(report, org, login, shown)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _checked(
    stream: str, pipeline: Pipeline, *, org: Org, run: Run, locations: Locations
) -> dict[str, Any]:
    """Return the report's entry of a pipeline. Raises CommandError if the destination differs from the source."""
    rows, differences = check.differences(stream, org=org, run=run, locations=locations)
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
        "where": check.where(stream, org=org, run=run, locations=locations),
        "verified": True,
    }


def _checked_before(report: Path | None) -> dict[str, dict[str, Any]]:
    """Return the last report's entries by run, so that they are not checked again."""
    if report is None:
        return {}
    try:
        rows = json.loads(report.read_text())["pipelines"]
    except (OSError, ValueError, KeyError):
        return {}
    return {row["run_id"]: row for row in rows if row.get("verified")}


def _write(report: Path, org: Org, login: Login, pipelines: list[dict[str, Any]]) -> None:
    """Write the file atomically, readable by its owner only: it contains the password."""
    content = {
        "url": settings.PUBLIC_URL,
        "email": login.email,
        "password": login.password,
        "organization": org.name,
        "organization_id": str(org.pk),
        "pipelines": pipelines,
    }
    draft = report.with_name(report.name + ".new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(content, indent=2) + "\n")
    draft.replace(report)
