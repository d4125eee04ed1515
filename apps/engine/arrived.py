"""Read records that a destination has stored, in a child process of the fork server. Input and output are JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson

from apps.engine.contract import DestinationSpec, StorageRoot
from apps.engine.destinations.stored_rows import Row, RowWindow, StoredRows
from apps.engine.reporting.redaction import redactor_of_payload
from apps.engine.sync.build import build_destination

MAX_BYTES = 2_000_000  # of the records of one answer as JSON
MAX_ROWS = 200


def read_rows(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a RowsAnswer with records of the table `table`, from `offset` on. Raises EngineError.

    The payload is `{"role": "destination", "kind", "config", "table", "shared_folder", "data", "offset", "limit",
    "max_characters", "column", "allow_private_networks"}`. There are fewer records than `limit` if they are large.
    """
    limit = min(payload["limit"], MAX_ROWS)
    # One record more shows whether there are further ones.
    window = RowWindow(
        payload["offset"], limit + 1, payload["max_characters"], payload.get("column")
    )
    stored = _read(payload, window)
    records, cut = _fit(stored.rows[:limit], window.max_characters)
    end = window.offset + len(records)
    redactor = redactor_of_payload(payload)
    return {
        "columns": redactor.mask_records([asdict(column) for column in stored.columns]),
        "records": redactor.mask_records(records),
        "cut": cut,
        "total": stored.total,
        "next_offset": end if len(records) < len(stored.rows) else None,
    }


def _read(payload: Mapping[str, Any], window: RowWindow) -> StoredRows:
    destination = build_destination(
        DestinationSpec(
            kind=payload["kind"],
            config=payload["config"],
            table=payload["table"],
            write_mode="append",
            shared_folder=payload.get("shared_folder") or "",
        ),
        job_id="look",
        data=StorageRoot(**payload["data"]),
        allow_private_networks=bool(payload.get("allow_private_networks")),
    )
    try:
        return destination.read_rows(window)
    finally:
        destination.close()


def _fit(
    rows: list[Row] | Any, max_characters: int
) -> tuple[list[list[str | None]], list[list[int]]]:
    """Return the first rows that fit into the answer, at least one, with cut texts, and the positions of these."""
    records: list[list[str | None]] = []
    cut: list[list[int]] = []
    size = 0
    for row in rows:
        record = [text if text is None else text[:max_characters] for text in row]
        size += len(orjson.dumps(record))
        if records and size > MAX_BYTES:
            break
        number = len(records)
        cut += [
            [number, column]
            for column, text in enumerate(row)
            if text is not None and len(text) > max_characters
        ]
        records.append(record)
    return records, cut
