"""Show the changes of the saved positions of a pipeline's streams."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict
from uuid import UUID

import orjson
from django.conf import settings

from apps.auth.models import User
from apps.engine.stream_keys import pipeline_prefix, stream_key
from apps.engine.sync import position_history
from apps.engine.sync.position_history import PositionChange
from apps.json import JsonValue
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.pipelines.rendering import Person, render_person
from apps.pipelines.visibility import find_pipeline

CHANGES_PER_PAGE = 50


class PositionChangeRow(TypedDict):
    """A change of the saved position of a stream."""

    id: UUID
    stream: str
    at: datetime
    cause: str
    run_id: str | None
    changed_by: Person | None
    before: JsonValue
    after: JsonValue
    complete: bool


class HistoryPage(TypedDict):
    results: list[PositionChangeRow]
    count: int
    next_offset: int | None


def read_history(
    *, org: Org, by: Principal, pipeline_id: UUID, stream: str | None, offset: int
) -> HistoryPage:
    """Return a page of the changes, newest first: of one stream, or of all streams. Raises NotFound.

    A stream that has left the pipeline still has its changes.
    """
    find_pipeline(org=org, by=by, pipeline_id=pipeline_id)
    prefix = pipeline_prefix(org.pk, pipeline_id)
    page = position_history.read_changes(
        settings.ENGINE_DATABASE_URL,
        prefix if stream is None else stream_key(org.pk, pipeline_id, stream),
        offset=offset,
        limit=CHANGES_PER_PAGE,
    )
    end = offset + CHANGES_PER_PAGE
    return {
        "results": _render_changes(page.changes),
        "count": page.count,
        "next_offset": end if end < page.count else None,
    }


def _render_changes(changes: list[PositionChange]) -> list[PositionChangeRow]:
    user_ids = {change.user_id for change in changes if change.user_id}
    users = {str(user.pk): user for user in User.objects.filter(pk__in=user_ids)}
    return [
        {
            "id": change.id,
            "stream": change.stream,
            "at": change.at,
            "cause": change.cause,
            "run_id": change.run_id,
            "changed_by": render_person(users.get(change.user_id or "")),
            "before": _parse(change.before),
            "after": _parse(change.after),
            "complete": change.complete,
        }
        for change in changes
    ]


def _parse(position: str | None) -> Any:
    return orjson.loads(position) if position else None
