"""The manifest, the file that lists the visible parts of a file set.

A reader reads the parts that `manifest.json` lists. All other files in the folder are staged data or
leftovers of an interrupted clean-up. Keys are relative to the manifest's folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from apps.engine.failures import DestinationError
from apps.engine.frames.columns import Column, ColumnType

VERSION = 1
MAX_PUBLICATIONS = 200  # recorded publications; publishing one of their jobs again changes nothing


@dataclass(frozen=True, slots=True)
class Part:
    """A visible file; `job` is the id of the job that wrote it."""

    key: str
    rows: int
    bytes: int
    job: str


@dataclass(frozen=True, slots=True)
class PublishedJob:
    """A published job, and its parts when it was published."""

    job: str
    rows: int
    at: str
    parts: tuple[Part, ...]
    owner: str = ""  # the pipeline; empty if an older release of Drover published the job
    # {key: new key} of older parts that the job has rewritten
    moved: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The visible parts, their columns, and the jobs that published them."""

    format: str
    columns: Mapping[str, Column] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    publications: tuple[PublishedJob, ...] = ()

    def find_publication(self, job: str) -> PublishedJob | None:
        return next((published for published in self.publications if published.job == job), None)

    def has_rows_of_other_pipelines(self, owner: str) -> bool:
        """Whether rows of a pipeline other than `owner` are visible."""
        other_jobs = {
            published.job for published in self.publications if published.owner not in {"", owner}
        }
        return any(part.rows and part.job in other_jobs for part in self.parts)

    def with_publication(
        self,
        job: str,
        rows: int,
        new_parts: tuple[Part, ...],
        kept_parts: tuple[Part, ...],
        columns: Mapping[str, Column],
        owner: str,
        moved: Mapping[str, str],
    ) -> Manifest:
        """Return a manifest in which the job's new parts follow the kept parts."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        publication = PublishedJob(job, rows, now, new_parts, owner, moved)
        return replace(
            self,
            columns=columns,
            parts=kept_parts + new_parts,
            publications=(*self.publications, publication)[-MAX_PUBLICATIONS:],
        )

    def to_bytes(self) -> bytes:
        document = {
            "version": VERSION,
            "format": self.format,
            "job": self.publications[-1].job if self.publications else None,
            "rows": sum(part.rows for part in self.parts),
            "schema": [_column_to_json(name, column) for name, column in self.columns.items()],
            "parts": [asdict(part) for part in self.parts],
            "publications": [asdict(publication) for publication in self.publications],
        }
        return orjson.dumps(document, option=orjson.OPT_INDENT_2)

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Parse a manifest. Raises DestinationError if the data is not a manifest."""
        try:
            document = orjson.loads(data)
            return cls(
                format=document["format"],
                columns={item["name"]: _parse_column(item) for item in document["schema"]},
                parts=tuple(map(_parse_part, document["parts"])),
                publications=tuple(_parse_publication(item) for item in document["publications"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise DestinationError(
                "manifest.json was changed by another program and cannot be read",
                evidence=(f"{type(error).__name__}: {error}"[:200],),
            ) from error


def _column_to_json(name: str, column: Column) -> dict[str, Any]:
    plain = column.plain
    value = {"name": name, "type": plain.type.value, "scale": plain.scale}
    return {**value, "native": column.native} if column.native else value


def _parse_column(item: Mapping[str, Any]) -> Column:
    if item.get("native"):
        return Column.of_native_type(item["native"])
    return Column(ColumnType(item["type"]), scale=item["scale"])


def _parse_part(item: Mapping[str, Any]) -> Part:
    part = Part(**item)
    if not isinstance(part.key, str) or not isinstance(part.rows, int) or part.rows < 0:
        raise ValueError("a part has a wrong key or number of rows")
    return part


def _parse_publication(item: Mapping[str, Any]) -> PublishedJob:
    parts = tuple(map(_parse_part, item["parts"]))
    return PublishedJob(
        item["job"], item["rows"], item["at"], parts, item.get("owner", ""), item.get("moved", {})
    )
