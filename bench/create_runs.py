"""`python -m bench.create_runs N [--runs | --config]`: create an org with N pipelines.

With --runs, each pipeline has a pending run. With --config, the definition of the pipelines is read from the standard input
as JSON; else they log ten generated rows.

Prints the JSON {"token", "pipelines", "runs"}: an access token of a member, and the ids.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import django
import orjson

if TYPE_CHECKING:
    from apps.auth.models import User
    from apps.orgs.models import Org

LOGGING = {
    "source": {"kind": "dummy", "config": {"rows": 10}},
    "streams": [{"stream": "generated"}],
    "destination": {"kind": "logger", "config": {}},
}


def main(count: int, *, config: dict[str, Any], with_runs: bool) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from apps.orgs.models import Org
    from apps.orgs.walls.scope import org_scope
    from apps.runs.models import Run, Trigger

    org, user = create_org()
    with org_scope(org.pk):
        pipelines = [_create_pipeline(org, f"pipeline {n:04}", config) for n in range(count)]
        runs = [
            Run(org=org, pipeline=pipeline, version=1, trigger=Trigger.MANUAL)
            for pipeline in (pipelines if with_runs else ())
        ]
        Run.unscoped.bulk_create(runs)
        Org.objects.filter(pk=org.pk).update(max_running=100)
    output = {
        "token": create_token(org, user),
        "pipelines": [str(pipeline.pk) for pipeline in pipelines],
        "runs": [str(run.pk) for run in runs],
    }
    sys.stdout.write(orjson.dumps(output).decode())


def create_org() -> tuple[Org, User]:
    """Create an org, and return it and its owner."""
    from apps.auth.models import User, new_id
    from apps.orgs.members import services
    from apps.orgs.principals import SYSTEM

    user = User.objects.create_user(email=f"bench-{new_id()}@example.com", password=None)
    return services.create_org(name="Bench", owner=user, by=SYSTEM), user


def create_token(org: Org, user: User) -> str:
    """Return an access token of a new session of the member."""
    from apps.auth import tokens
    from apps.auth.models import RefreshFamily

    session = RefreshFamily.objects.create(user=user)
    return tokens.issue(
        tokens.Claims(
            user_id=user.pk, org_id=org.pk, session_id=session.pk, token_version=user.token_version
        )
    )


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
