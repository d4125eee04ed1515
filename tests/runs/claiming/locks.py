"""Every lock that Drover takes in its own database, with the action of `freezer` that takes it."""

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
from tests.runs.processes import start_run
from tests.world import World, make_connector, token_for

Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class Lock:
    """A lock. `freezer` performs the action, and freezes after the statement that matches `statement_pattern`."""

    action: str
    statement_pattern: str  # a regular expression
    prepare: Callable[[World], Arguments]  # returns the arguments of the action
    is_platform_wide: bool = False  # other orgs wait until PostgreSQL ends the transaction


def _request_arguments(
    world: World, method: str, path: str, body: Any = None, **headers: str
) -> Arguments:
    token = token_for(world.users[Role.OWNER], world.org)
    return {"method": method, "path": path, "body": body, "token": token, "headers": headers}


def _prepare_pending_run(world: World) -> Arguments:
    start_run(world, make_pipeline(world))
    return {}


def _prepare_start_request(world: World) -> Arguments:
    return _request_arguments(world, "post", f"pipelines/{make_pipeline(world).pk}/run")


def _prepare_start_request_with_key(world: World) -> Arguments:
    path = f"pipelines/{make_pipeline(world).pk}/run"
    return _request_arguments(world, "post", path, **{"Idempotency-Key": "once"})


def _prepare_claimed_run(world: World) -> Arguments:
    run = start_run(world, make_pipeline(world))
    with world.scope():
        assert leases.claim_run(org_id=world.org.pk, run_id=run, worker="gone")
    return {"org": str(world.org.pk), "run": str(run)}


def _prepare_expired_run(world: World) -> Arguments:
    run = _prepare_claimed_run(world)["run"]
    with world.scope():
        Run.objects.for_org(world.org).filter(pk=run).update(lease_until=Now() - timedelta(hours=1))
    return {}


def _prepare_run_to_cancel(world: World) -> Arguments:
    run = _prepare_claimed_run(world)["run"]
    with world.scope():
        Run.objects.for_org(world.org).filter(pk=run).update(
            cancel_requested_at=Now() - timedelta(hours=1)
        )
    return {}


def _prepare_due_schedule(world: World) -> Arguments:
    create_due_schedule(world)
    return {}


def create_due_schedule(world: World) -> Schedule:
    """Create a schedule that is due now."""
    with world.scope():
        schedule: Schedule = Schedule.unscoped.create(
            org=world.org,
            pipeline=make_pipeline(world),
            cron="* * * * *",
            timezone="UTC",
            next_run_at=Now(),
        )
    return schedule


def _prepare_refresh_request(world: World) -> Arguments:
    session = sessions.begin(user=world.users[Role.OWNER], ip=None, user_agent="tests")
    headers = {"Cookie": f"drover_refresh={session.refresh_token}", HEADER: HEADER_VALUE}
    return {"method": "post", "path": "auth/refresh", "token": "", "headers": headers}


def _prepare_reset_request(world: World) -> Arguments:
    """Create the engine's state of a stream that ran once, and return a request that resets it."""
    import psycopg
    from django.conf import settings

    from apps.engine.stream_keys import stream_key
    from apps.engine.sync import state

    pipeline = make_pipeline(world)
    key = stream_key(world.org.pk, pipeline.pk, pipeline.stream)
    with psycopg.connect(state.engine_conninfo(settings.ENGINE_DATABASE_URL)) as engine:
        engine.execute(
            "insert into engine_stream (stream_key, lease, run_id, attempt) values (%s, 'a', 'b', 1)",
            [key],
        )
    return _request_arguments(world, "post", f"pipelines/{pipeline.pk}/state/reset")


def _prepare_connector_request(world: World) -> Arguments:
    return _request_arguments(
        world, "patch", f"connectors/{make_connector(world).pk}", {"name": "new"}
    )


def _prepare_pipeline_request(world: World) -> Arguments:
    return _request_arguments(world, "post", f"pipelines/{make_pipeline(world).pk}/disable")


LOCKS = {
    "the claim": Lock(
        "claim_run", "pg_try_advisory_xact_lock", _prepare_pending_run, is_platform_wide=True
    ),
    "the run that is claimed": Lock(
        "claim_run", 'UPDATE "runs_run" SET "status"', _prepare_pending_run, True
    ),
    "the org's feed": Lock("send_request", "INSERT INTO runs_feed", _prepare_start_request),
    "the pipeline's last run": Lock(
        "send_request", 'UPDATE "pipelines_pipeline"', _prepare_start_request
    ),
    # A trigger of this update locks the row of the month's usage.
    "the month's usage": Lock(
        "record_progress", 'UPDATE "runs_run" SET "records_written"', _prepare_claimed_run
    ),
    "an expired run": Lock("recover_runs", r'FOR UPDATE OF "runs_run"', _prepare_expired_run),
    "a run to be cancelled": Lock(
        "enforce_overdue_cancels", r'FOR UPDATE OF "runs_run"', _prepare_run_to_cancel
    ),
    "a due schedule": Lock("fire_schedules", "FOR UPDATE OF .* SKIP LOCKED", _prepare_due_schedule),
    "an idempotency key": Lock(
        "send_request", 'INSERT INTO "orgs_idempotencyrecord"', _prepare_start_request_with_key
    ),
    "the org": Lock(
        "send_request",
        'FROM "orgs_org" .*FOR UPDATE',
        lambda world: _request_arguments(world, "patch", "org", {"name": f"Org {uuid4().hex[:6]}"}),
    ),
    "a pipeline": Lock(
        "send_request", r'FOR UPDATE OF "pipelines_pipeline"', _prepare_pipeline_request
    ),
    "a connector": Lock(
        "send_request", r'FOR UPDATE OF "connectors_connector"', _prepare_connector_request
    ),
    "a refresh token": Lock(
        "send_request", 'UPDATE "identity_refreshtoken"', _prepare_refresh_request
    ),
    "the engine's stream": Lock("send_request", "update engine_stream", _prepare_reset_request),
}
