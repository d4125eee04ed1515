"""The stored lists of the streams of saved sources, so that only the first of many questions waits for the source."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast

from django.utils import timezone

from apps.connectors.custom_sources import kinds as custom_kinds
from apps.connectors.engine import Streams
from apps.connectors.models import Connector, Discovery
from apps.engine.answers import Stream
from apps.orgs.models import Org

MAX_AGE = timedelta(days=1)
# The file that such a source reads can be replaced at any time, and reading its first lines is quick.
KINDS_NOT_STORED = frozenset({"files"})


class FoundStreams(Streams):
    """The streams of a source, and when it listed them; None if it did not."""

    found_at: datetime | None


def read(org: Org, connector: Connector) -> FoundStreams | None:
    """Return the stored list. Returns None if there is none, if it is old, or if settings or code have changed."""
    row: Discovery | None = (
        Discovery.objects.for_org(org)
        .filter(
            connector=connector,
            connector_version=connector.version,
            found_at__gt=timezone.now() - MAX_AGE,
        )
        .first()
    )
    if row is None or row.code_version != code_version_of(org, connector):
        return None
    streams = cast(list[Stream], row.streams)
    return {"ok": True, "streams": streams, "found_at": row.found_at, "failure": None}


def store(
    org: Org, connector: Connector, streams: Sequence[Stream], *, code_version: int | None
) -> None:
    """Store what the source has listed with the settings of this version of the connector."""
    if connector.kind in KINDS_NOT_STORED:
        return
    Discovery.objects.for_org(org).update_or_create(
        org=org,
        connector=connector,
        defaults={
            "connector_version": connector.version,
            "code_version": code_version,
            "streams": list(streams),
            "found_at": timezone.now(),
        },
    )


def code_version_of(org: Org, connector: Connector) -> int | None:
    """Return the number of the version that the sandbox runs for a connector of a custom source, else None."""
    if custom_kinds.custom_source_id(connector.kind) is None:
        return None
    return int(custom_kinds.approved_version(org, connector.kind, None).number)
