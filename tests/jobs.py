"""Jobs in the queue, without a worker."""

from __future__ import annotations

import json

from django.db import connection
from procrastinate.contrib.django import app


def execute_jobs(task: str) -> int:
    """Execute the deferred jobs of the task, as a worker does. Returns their number."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM procrastinate_jobs WHERE task_name = %s AND status = 'todo' RETURNING args",
            [task],
        )
        found = cursor.fetchall()
    for (arguments,) in found:
        app.tasks[task].func(**json.loads(arguments))
    return len(found)


def fetch_jobs(queue: str) -> list[str]:
    """Let workers fetch jobs of the queue until they get no other, and return the orgs of the jobs."""
    found: list[str] = []
    with connection.cursor() as cursor:
        while True:
            cursor.execute(
                "SELECT args->>'org_id' FROM procrastinate_fetch_job_v2(%s, NULL) WHERE id IS NOT NULL",
                [[queue]],
            )
            if (row := cursor.fetchone()) is None:
                return found
            found.append(row[0])
