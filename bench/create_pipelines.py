"""`python -m bench.create_pipelines N`: create an org with N pipelines in the temporary installation.

Prints the JSON {"token", "jwt_key", "queries"}: an access token of a member, the key that signs it (so
that the FastAPI server can verify the token), and the number of queries of one `GET /pipelines`.
"""

from __future__ import annotations

import sys

import django
import orjson

from bench.create_runs import create_org, create_token


def main(count: int) -> None:
    django.setup()
    from django.conf import settings
    from django.utils import timezone

    from apps.auth.models import new_id
    from apps.orgs.models import Domain
    from apps.orgs.walls.scope import org_scope
    from apps.pipelines.models import Pipeline, Schedule

    now = timezone.now()
    org, user = create_org()
    with org_scope(org.pk):
        domain = Domain.unscoped.create(org=org, name="Marketing")
        pipelines = [
            Pipeline(
                org=org,
                name=f"pipeline {n:04}",
                domain=domain if n % 2 else None,
                tags=["daily", f"team-{n % 7}"],
                source_kind="postgres",
                destination_kind="parquet",
                stream="flights",
                last_run_id=new_id(),
                last_run_status="succeeded",
                last_run_finished_at=now,
                last_run_records=n,
            )
            for n in range(count)
        ]
        Pipeline.unscoped.bulk_create(pipelines)
        Schedule.unscoped.bulk_create(
            Schedule(
                org=org, pipeline=row, cron="0 6 * * *", timezone="Europe/Paris", next_run_at=now
            )
            for row in pipelines
        )
    token = create_token(org, user)
    output = {
        "token": token,
        "jwt_key": settings.SIMPLE_JWT["SIGNING_KEY"],
        "queries": count_list_queries(token),
    }
    sys.stdout.write(orjson.dumps(output).decode())


def count_list_queries(token: str) -> int:
    """Count the database queries of one `GET /pipelines`."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        client = Client(SERVER_NAME="localhost", headers={"Authorization": f"Bearer {token}"})
        response = client.get("/api/v1/pipelines?limit=50")
    if response.status_code != 200:
        raise RuntimeError(
            f"the list responded with {response.status_code}: {response.content[:300]!r}"
        )
    return len(queries)


if __name__ == "__main__":
    main(int(sys.argv[1]))
