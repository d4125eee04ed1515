"""Procrastinate tasks of connectors. Each takes ids, makes one call, and is safe to run twice."""

from __future__ import annotations

from uuid import UUID

from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from apps.background.registry import SYSTEM_QUEUE
from apps.connectors import storage
from apps.connectors.repositories import services as repositories
from apps.connectors.repositories import syncs


@app.task(name=repositories.SYNC_TASK, queue=repositories.QUEUE)
def sync_repository(*, org_id: str, repository_id: str) -> None:
    syncs.sync(org_id=UUID(org_id), repository_id=UUID(repository_id))


@app.task(
    name=storage.REMOVE_DATABASE_TASK,
    queue=SYSTEM_QUEUE,
    retry=RetryStrategy(max_attempts=10, linear_wait=60),
)
def remove_database(*, org_id: str, connector_id: str) -> None:
    storage.remove_database(org_id=UUID(org_id), connector_id=UUID(connector_id))
