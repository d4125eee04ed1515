"""`python -m bench.create_runs N [--runs | --config]`: create an org with N pipelines.

With --runs, each pipeline has a pending run. With --config, the definition of the pipelines is read from the standard input
as JSON; else they log ten generated rows.

Prints the JSON {"token", "pipelines", "runs"}: an access token of a member, and the ids.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import django
import orjson

LOGGING = {
    "source": {"kind": "dummy", "config": {"rows": 10}},
    "streams": [{"stream": "generated"}],
    "destination": {"kind": "logger", "config": {}},
}


def main(count: int, *, config: dict[str, Any], with_runs: bool) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from apps.auth import tokens
    from apps.auth.models import RefreshFamily, User, new_id
    from apps.orgs.members.services import create_org
    from apps.orgs.models import Org
    from apps.orgs.principals import SYSTEM
    from apps.orgs.walls.scope import org_scope
    from apps.runs.models import Run, Trigger

    user = User.objects.create_user(email=f"bench-{new_id()}@example.com", password=None)
    org = create_org(name="Bench", owner=user, by=SYSTEM)
    with org_scope(org.pk):
        pipelines = [_create_pipeline(org, f"pipeline {n:04}", config) for n in range(count)]
        runs = [
            Run(org=org, pipeline=pipeline, version=1, trigger=Trigger.MANUAL)
            for pipeline in (pipelines if with_runs else ())
        ]
        Run.unscoped.bulk_create(runs)
        Org.objects.filter(pk=org.pk).update(max_running=100)
    session = RefreshFamily.objects.create(user=user)
    claims = tokens.Claims(
        user_id=user.pk, org_id=org.pk, session_id=session.pk, token_version=user.token_version
    )
    output = {
        "token": tokens.issue(claims),
        "pipelines": [str(pipeline.pk) for pipeline in pipelines],
        "runs": [str(run.pk) for run in runs],
    }
    sys.stdout.write(orjson.dumps(output).decode())


def _create_pipeline(org: Any, name: str, config: dict[str, Any]) -> Any:
    from apps.orgs.principals import SYSTEM
    from apps.pipelines import services

    return services.create(org=org, by=SYSTEM, name=name, config=config)


if __name__ == "__main__":
    main(
        int(sys.argv[1]),
        config=orjson.loads(sys.stdin.buffer.read()) if "--config" in sys.argv else LOGGING,
        with_runs="--runs" in sys.argv,
    )
