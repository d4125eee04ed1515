"""Procrastinate tasks of connectors. Each takes ids, makes one call, and is safe to run twice."""

from __future__ import annotations

from uuid import UUID

from procrastinate.contrib.django import app

from apps.connectors.repositories import services as repositories
from apps.connectors.repositories import syncs


@app.task(name=repositories.SYNC_TASK, queue=repositories.QUEUE)
def sync_repository(*, org_id: str, repository_id: str) -> None:
    syncs.sync(org_id=UUID(org_id), repository_id=UUID(repository_id))
