"""`manage.py run_pipeline NAME --org SLUG [--wait]`: start a pipeline and exit with the result of its run."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from apps.orgs.exceptions import Conflict, Disabled, NotFound
from apps.orgs.models import Org
from apps.orgs.operators.lookup import NoSingleOrg, find_org
from apps.orgs.principals import operator_principal
from apps.orgs.walls.scope import org_scope
from apps.pipelines import visibility
from apps.runs import services, snapshots
from apps.runs.claiming.admission import is_in_future
from apps.runs.models import ENDED

EXIT_CODES = {"succeeded": 0, "failed": 1, "cancelled": 3}
NOT_STARTED, TIMED_OUT = 2, 4
POLL_SECONDS = 0.3
OPERATOR = operator_principal("manage.py run_pipeline")


class Command(BaseCommand):
    help = (
        "Start a pipeline. With --wait the exit code is the result of the run: 0 succeeded, 1 failed, "
        "2 not started, 3 cancelled, 4 still running after --timeout."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the pipeline's name")
        parser.add_argument(
            "--org", required=True, help="the organization's slug, or its name if that is unique"
        )
        parser.add_argument("--wait", action="store_true", help="wait until the run ends")
        parser.add_argument("--timeout", type=float, default=None, help="seconds to wait at most")
        parser.add_argument("--force", action="store_true", help="run it even if it is disabled")

    def handle(
        self,
        *args: Any,
        name: str,
        org: str,
        wait: bool,
        timeout: float | None,
        force: bool,
        **options: Any,
    ) -> None:
        try:
            found_org = find_org(org)
        except NoSingleOrg as error:
            raise CommandError(str(error), returncode=NOT_STARTED) from error
        run_id = _start(found_org, name, force=force)
        if not wait:
            self.stdout.write(str(run_id))
            return
        run = _wait_for_run(found_org, run_id, Console(), timeout)
        if run["status"] not in ENDED:
            self.stderr.write(f"{name} is still {run['status']} after {timeout:g} s.")
            sys.exit(TIMED_OUT)
        self.stdout.write(_summary(name, run))
        sys.exit(EXIT_CODES[run["status"]])


def _start(org: Org, name: str, *, force: bool) -> UUID:
    with org_scope(org.pk):
        try:
            pipeline = visibility.find_pipeline_by_name(org, OPERATOR, name)
            run = services.start(org=org, by=OPERATOR, pipeline_id=pipeline.pk, force=force)
        except NotFound:
            message = f"{org.slug} has no pipeline named {name!r}."
            raise CommandError(message, returncode=NOT_STARTED) from None
        except (Conflict, Disabled) as error:
            raise CommandError(str(error), returncode=NOT_STARTED) from error
    return run.pk


def _wait_for_run(
    org: Org, run_id: UUID, console: Console, timeout: float | None
) -> snapshots.RunSnapshot:
    """Show a progress bar until the run ends or `timeout` seconds have passed. Returns the run."""
    deadline = time.monotonic() + timeout if timeout is not None else float("inf")
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task("pending", total=None, count="")
        while True:
            with org_scope(org.pk):
                run = snapshots.run(org_id=org.pk, run_id=run_id)
            connection.close()
            _update_bar(bar, task, run)
            if run["status"] in ENDED or time.monotonic() > deadline:
                return run
            time.sleep(POLL_SECONDS)


def _update_bar(bar: Progress, task: TaskID, run: snapshots.RunSnapshot) -> None:
    progress = run["progress"]
    rate = f", {progress['rate']:,.0f}/s" if progress["rate"] else ""
    text = run["waiting_reason"] or run["status"]
    if is_in_future(run["not_before"]):
        text += f" at {run['not_before']:%Y-%m-%d %H:%M:%S} UTC"
    bar.update(
        task,
        description=text,
        total=progress["total"],
        completed=progress["read"],
        count=f"{progress['read']:,} records{rate}",
    )


def _summary(name: str, run: snapshots.RunSnapshot) -> str:
    progress = run["progress"]
    text = (
        f"{name} {run['status']}: {progress['read']:,} read, {progress['written']:,} written, "
        f"{progress['rejected']:,} rejected, {progress['skipped']:,} skipped"
    )
    if run["duration_seconds"] is not None:
        text += f" in {run['duration_seconds']:.1f} s"
    if failure := run["failure"]:
        text += f"\n{failure['class']}: {failure['message']}\n{failure['next_step']}"
    return text
