"""Read records of a destination in a child process, as checks and previews do."""

from __future__ import annotations

from dataclasses import asdict
from typing import TypedDict
from uuid import UUID

from django.conf import settings

from apps.connectors import engine
from apps.engine.answers import Failure, RowsAnswer, StoredColumn
from apps.engine.contract import DestinationSpec, StorageRoot
from apps.engine.failures import EngineError, Unavailable
from apps.json import JsonObject

MODULE = "apps.engine.arrived"
SECONDS = 30.0
CELL_CHARACTERS = 1_000  # of a value among those of other columns
COLUMN_CHARACTERS = 100_000  # of a value of a single column


class StoredPage(TypedDict):
    """Records at a destination as in a RowsAnswer, or the reason why they cannot be read."""

    ok: bool
    columns: list[StoredColumn]
    records: list[list[str | None]]
    cut: list[list[int]]
    total: int | None
    next_offset: int | None
    failure: Failure | None


def read_rows(
    *,
    org_id: UUID,
    destination: DestinationSpec,
    data: StorageRoot,
    offset: int,
    limit: int,
    column: str | None = None,
) -> StoredPage:
    """Return records of the destination's table from `offset` on, only the column `column` if it is given.

    Values are cut after CELL_CHARACTERS, and those of a single column after COLUMN_CHARACTERS.

    Raises Unavailable, and Problem 429 if too many calls run.
    """
    payload: JsonObject = {
        "role": "destination",
        "kind": destination.kind,
        "config": destination.config,
        "table": destination.table,
        "shared_folder": destination.shared_folder,
        "data": asdict(data),
        "offset": offset,
        "limit": limit,
        "column": column,
        "max_characters": CELL_CHARACTERS if column is None else COLUMN_CHARACTERS,
        "allow_private_networks": settings.ALLOW_PRIVATE_NETWORKS,
    }
    try:
        answer: RowsAnswer = engine.call_function(
            "read_rows", module=MODULE, org_id=org_id, payload=payload, seconds=SECONDS
        )
    except Unavailable:
        raise
    except EngineError as error:
        return _failed(error)
    return {"ok": True, **answer, "failure": None}


def _failed(error: EngineError) -> StoredPage:
    failure: Failure = {
        "failure_class": str(error.failure_class),
        "message": error.message,
        "evidence": list(error.evidence),
    }
    return {
        "ok": False,
        "columns": [],
        "records": [],
        "cut": [],
        "total": None,
        "next_offset": None,
        "failure": failure,
    }
