"""Every lock that Drover takes in its own database, and a process that can be frozen while holding it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.db.models.functions import Now

from apps.auth import sessions
from apps.orgs.roles import Role
from apps.pipelines.models import Schedule
from apps.runs.claiming import leases
from apps.runs.models import Run
from apps.web.origin import HEADER, HEADER_VALUE
from tests.runs.conftest import make_pipeline
from tests.runs.processes import start
from tests.world import World, make_connector, token_for

Order = Mapping[str, Any]


@dataclass(frozen=True)
class Lock:
    """The process that holds it (`prepare` returns the arguments of an act of tests.runs.claiming.freezer), and
    after which statement.
    """

    act: str
    statement: str
    prepare: Callable[[World], Order]
    everywhere: bool = False  # of the whole platform: others wait until the transaction is ended


def _request(world: World, method: str, path: str, body: Any = None, **headers: str) -> Order:
    token = token_for(world.users[Role.OWNER], world.org)
    return {"method": method, "path": path, "body": body, "token": token, "headers": headers}


def _waiting(world: World) -> Order:
    start(world, make_pipeline(world))
    return {}


def _starting(world: World) -> Order:
    return _request(world, "post", f"pipelines/{make_pipeline(world).pk}/run")


def _once(world: World) -> Order:
    path = f"pipelines/{make_pipeline(world).pk}/run"
    return _request(world, "post", path, **{"Idempotency-Key": "once"})


def _running(world: World) -> Order:
    run = start(world, make_pipeline(world))
    with world.scope():
        assert leases.take(org_id=world.org.pk, run_id=run, worker="gone")
    return {"org": str(world.org.pk), "run": str(run)}


def _expired(world: World) -> Order:
    run = _running(world)["run"]
    with world.scope():
        Run.objects.for_org(world.org).filter(pk=run).update(lease_until=Now() - timedelta(hours=1))
    return {}


def _overdue(world: World) -> Order:
    run = _running(world)["run"]
    with world.scope():
        Run.objects.for_org(world.org).filter(pk=run).update(
            cancel_requested_at=Now() - timedelta(hours=1)
        )
    return {}


def _due(world: World) -> Order:
    schedule(world)
    return {}


def schedule(world: World) -> Schedule:
    """A schedule that is due now."""
    with world.scope():
        made: Schedule = Schedule.unscoped.create(
            org=world.org,
            pipeline=make_pipeline(world),
            cron="* * * * *",
            timezone="UTC",
            next_run_at=Now(),
        )
    return made


def _refreshing(world: World) -> Order:
    session = sessions.begin(user=world.users[Role.OWNER], ip=None, user_agent="tests")
    headers = {"Cookie": f"drover_refresh={session.refresh_token}", HEADER: HEADER_VALUE}
    return {"method": "post", "path": "auth/refresh", "token": "", "headers": headers}


def _resetting(world: World) -> Order:
    """The engine's state of a stream that ran once."""
    import psycopg
    from django.conf import settings

    from apps.engine.contract import stream_key
    from apps.engine.sync import state

    pipeline = make_pipeline(world)
    key = stream_key(world.org.pk, pipeline.pk)
    with psycopg.connect(state.engine_conninfo(settings.ENGINE_DATABASE_URL)) as engine:
        engine.execute(
            "insert into engine_stream (stream_key, lease, run_id, attempt) values (%s, 'a', 'b', 1)",
            [key],
        )
    return _request(world, "post", f"pipelines/{pipeline.pk}/state/reset")


def _connector(world: World) -> Order:
    return _request(world, "patch", f"connectors/{make_connector(world).pk}", {"name": "new"})


def _pipeline(world: World) -> Order:
    return _request(world, "post", f"pipelines/{make_pipeline(world).pk}/disable")


LOCKS = {
    "the claim": Lock("claim", "pg_try_advisory_xact_lock", _waiting, everywhere=True),
    "the run that is claimed": Lock("claim", 'UPDATE "runs_run" SET "status"', _waiting, True),
    "the org's feed": Lock("request", "INSERT INTO runs_feed", _starting),
    "the pipeline's last run": Lock("request", 'UPDATE "pipelines_pipeline"', _starting),
    "the month's usage": Lock("record", 'UPDATE "runs_run" SET "records_written"', _running),
    "an expired run": Lock("recover", r'FOR UPDATE OF "runs_run"', _expired),
    "a run to be cancelled": Lock("enforce_cancels", r'FOR UPDATE OF "runs_run"', _overdue),
    "a due schedule": Lock("tick", "FOR UPDATE OF .* SKIP LOCKED", _due),
    "an idempotency key": Lock("request", 'INSERT INTO "orgs_idempotencyrecord"', _once),
    "the org": Lock(
        "request",
        'FROM "orgs_org" .*FOR UPDATE',
        lambda world: _request(world, "patch", "org", {"name": f"Org {uuid4().hex[:6]}"}),
    ),
    "a pipeline": Lock("request", r'FOR UPDATE OF "pipelines_pipeline"', _pipeline),
    "a connector": Lock("request", r'FOR UPDATE OF "connectors_connector"', _connector),
    "a refresh token": Lock("request", 'UPDATE "identity_refreshtoken"', _refreshing),
    "the engine's stream": Lock("request", "update engine_stream", _resetting),
}
