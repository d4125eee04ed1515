"""Names that PostgreSQL accepts, and how all other names are changed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from apps.engine.failures import ConfigurationError

LONGEST = 63  # bytes
BATCH, ROW = "_drover_batch", "_drover_row"  # prefix of staging tables
PUBLICATIONS = "_drover_publications"
BATCHES = "_drover_batches"
_TAKEN = {"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid", BATCH, ROW}


@dataclass(frozen=True, slots=True)
class TableName:
    """A table in a schema."""

    schema: str
    name: str

    def quoted(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)

    def beside(self, name: str) -> TableName:
        return TableName(self.schema, name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def table_name(table: str, default_schema: str) -> TableName:
    """Parse `table` or `schema.table`. Raises ConfigurationError."""
    schema, dot, name = table.rpartition(".")
    made = TableName(schema if dot else default_schema, name)
    for part in (made.schema, made.name):
        if not part or "\0" in part or len(part.encode()) > LONGEST:
            raise ConfigurationError(
                f"A schema or table name must be 1 to {LONGEST} bytes long",
                evidence=(f"destination.table: {table[:100]!r}",),
            )
    if made.name.startswith("_drover_"):
        raise ConfigurationError("Table names that begin with _drover_ are reserved for Drover")
    return made


def staging_name(target: TableName, job_id: str) -> TableName:
    """Return the job's staging table, in the schema of the target."""
    if len(job_id) > 40 or not job_id.isascii():
        job_id = hashlib.sha256(job_id.encode()).hexdigest()[:40]
    return target.beside(f"_drover_stg_{job_id}")


def column_names(names: Sequence[str]) -> dict[str, str]:
    """Return each field's column. A name that PostgreSQL does not allow is shortened and ends in a digest."""
    made = {name: column_name(name) for name in names}
    if len(set(made.values())) < len(made):
        raise ConfigurationError("Two fields of the stream would get the same column name")
    return made


def column_name(name: str) -> str:
    encoded = name.encode()
    if 0 < len(encoded) <= LONGEST and "\0" not in name and name not in _TAKEN:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:10]
    start = encoded.replace(b"\0", b"")[: LONGEST - len(digest) - 1].decode(errors="ignore")
    return f"{start}_{digest}"
