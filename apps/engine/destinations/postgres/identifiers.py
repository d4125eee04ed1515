"""Names of tables and columns. Names that PostgreSQL does not accept are refused or changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl
from psycopg import sql

from apps.engine.failures import ConfigurationError

MAX_BYTES = 63
BATCH_COLUMN, ROW_COLUMN = "_drover_batch", "_drover_row"  # columns of staging tables
SEQUENCE_PREFIX = "_drover_seq_"  # of the sequences that number the rows of staging tables
PUBLICATIONS_TABLE = "_drover_publications"
BATCHES_TABLE = "_drover_batches"
_RESERVED_COLUMNS = {"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid", BATCH_COLUMN, ROW_COLUMN}


@dataclass(frozen=True, slots=True)
class TableName:
    """A table in a schema."""

    schema: str
    name: str

    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)

    def sibling(self, name: str) -> TableName:
        """Return the name of another table in the same schema."""
        return TableName(self.schema, name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def table_name(table: str, default_schema: str) -> TableName:
    """Parse `table` or `schema.table`. Raises ConfigurationError."""
    schema, dot, name = table.rpartition(".")
    parsed = TableName(schema if dot else default_schema, name)
    for part in (parsed.schema, parsed.name):
        if not part or "\0" in part or len(part.encode()) > MAX_BYTES:
            raise ConfigurationError(
                f"A schema or table name must be 1 to {MAX_BYTES} bytes long",
                evidence=(f"destination.table: {table[:100]!r}",),
            )
    if parsed.name.startswith("_drover_"):
        raise ConfigurationError("Table names that begin with _drover_ are reserved for Drover")
    return parsed


def staging_name(target: TableName, job_id: str) -> TableName:
    """Return the name of the job's staging table, which is in the target's schema."""
    if len(job_id) > 40 or not job_id.isascii():
        job_id = hashlib.sha256(job_id.encode()).hexdigest()[:40]
    return target.sibling(f"_drover_stg_{job_id}")


def column_names(names: Sequence[str]) -> dict[str, str]:
    """Return the column name of each field. Raises ConfigurationError if two fields would get the same name."""
    columns = {name: column_name(name) for name in names}
    if len(set(columns.values())) < len(columns):
        raise ConfigurationError("Two fields of the stream would get the same column name")
    return columns


def rename_columns(frame: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    """Return the frame with these column names, by its own.

    `DataFrame.rename` would start the query engine of polars, of which 10 MB of code would be loaded.
    """
    renamed = frame.clone()
    renamed.columns = [names[name] for name in frame.columns]
    return renamed


def column_name(name: str) -> str:
    """Return the name if it can be the name of a column, else a shortened name that ends in a digest."""
    encoded = name.encode()
    if 0 < len(encoded) <= MAX_BYTES and "\0" not in name and name not in _RESERVED_COLUMNS:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:10]
    start = encoded.replace(b"\0", b"")[: MAX_BYTES - len(digest) - 1].decode(errors="ignore")
    return f"{start}_{digest}"
