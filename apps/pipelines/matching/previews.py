"""Show which streams the patterns of an unsaved definition choose."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict
from uuid import UUID

from apps.connectors import engine
from apps.connectors.checks import services as checks
from apps.connectors.engine import Streams
from apps.engine.answers import Failure
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.slow_calls import SlowCall
from apps.pipelines import specs
from apps.pipelines.definition import (
    Definition,
    RequestDocument,
    StreamDocument,
    with_shared_settings,
    without_shared_settings,
)
from apps.pipelines.matching.choosing import choose, documents_of
from apps.pipelines.trials.services import build_unsaved


class Match(TypedDict):
    """The streams that a definition reads of the `total` streams of its source, or why they cannot be listed."""

    ok: bool
    streams: list[StreamDocument]
    total: int
    failure: Failure | None


def match(*, org: Org, by: Principal, config: RequestDocument) -> SlowCall[Match]:
    """Return a SlowCall that lists the streams which the definition names, and those that its patterns choose.

    Raises PermissionMissing and Invalid.
    """
    definition = build_unsaved(org, by, config)
    list_streams = _listing_of(org, by, definition)

    def run() -> Match:
        listed = list_streams()
        chosen = choose(definition, {}, listed["streams"], is_first=True)
        return {
            "ok": listed["ok"],
            "streams": [*definition.streams, *map(_in_short, documents_of(definition, chosen))],
            "total": len(listed["streams"]),
            "failure": listed["failure"],
        }

    return SlowCall(run, lambda principal: build_unsaved(org, principal, config))


def _in_short(stream: StreamDocument) -> StreamDocument:
    """Return the stream without the settings that all of them share, which the request contains."""
    return with_shared_settings(None, without_shared_settings(stream))


def _listing_of(org: Org, by: Principal, definition: Definition) -> Callable[[], Streams]:
    """Return the function that lists the streams of the source: from the stored list of a saved connector, if possible."""
    if pk := definition.document["source"]["connector_id"]:
        return checks.list_streams(org=org, by=by, connector_id=UUID(pk)).run
    source = specs.source_of(org, definition)
    return lambda: engine.discover(
        org_id=org.pk, kind=source.kind, config=dict(source.config), code=source.code
    )
