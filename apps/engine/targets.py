"""Identify the table that a stream writes, so that no two pipelines write the same one.

This module compares the settings as texts. It imports no destination, because the web process calls it.
"""

from __future__ import annotations

import hashlib
import json
from urllib.parse import unquote, urlsplit

from apps.json import JsonObject

# The kinds of destinations that implement `Destination.read_rows`.
READABLE_KINDS = frozenset({"csv", "duckdb", "jsonl", "parquet", "postgres"})
BUCKET_KINDS = frozenset({"csv", "jsonl", "parquet"})


def target_of(kind: str, config: JsonObject, table: str, *, shared_folder: str = "") -> str:
    """Return the same digest for all settings that name the same table, or an empty text.

    It is empty if no other pipeline can write the table: the destination writes no table, or stores it in the
    pipeline's own folder. `config` needs no secrets. `shared_folder` is that of `DestinationSpec`. Two names of one
    server are not recognized.
    """
    if kind == "duckdb" and shared_folder:
        return _digest("duckdb", shared_folder, _duckdb_table(table))
    if kind == "postgres":
        return _digest("postgres", *_postgres_table(config, table))
    if kind in BUCKET_KINDS and config.get("bucket_url"):
        return _digest("bucket", *_bucket_folder(config, table))
    return ""


def place_of(
    kind: str, config: JsonObject, table: str, *, shared_folder: str = "", own_folder: str = ""
) -> str:
    """Return the same digest for all settings with which a pipeline writes the same table.

    In contrast to `target_of`, tables in the folder of the pipeline have one too. `own_folder` is its prefix.
    """
    target = target_of(kind, config, table, shared_folder=shared_folder)
    if target:
        return target
    if kind == "duckdb":
        return _digest(kind, own_folder, str(config.get("database", "")), _duckdb_table(table))
    return _digest(kind, own_folder, table)


def _duckdb_table(table: str) -> str:
    """Return the schema and the name of the table. DuckDB ignores case."""
    schema, _, name = table.rpartition(".")
    return f"{schema or 'main'}.{name}".casefold()


def _postgres_table(config: JsonObject, table: str) -> tuple[str, ...]:
    """Return the table's server, database, schema and name. PostgreSQL's names are case-sensitive."""
    schema, dot, name = table.rpartition(".")
    host = str(config.get("host", "")).lower().rstrip(".")
    port = str(config.get("port") or 5432)
    database = str(config.get("database", ""))
    return host, port, database, schema if dot else str(config.get("schema") or "public"), name


def _bucket_folder(config: JsonObject, table: str) -> tuple[str, ...]:
    """Return the folder's server, bucket and path. The files of all formats share it."""
    parts = urlsplit(str(config["bucket_url"]))
    endpoint = str(config.get("endpoint_url") or "").lower().rstrip("/")
    path = "/".join(filter(None, (unquote(parts.path).strip("/"), table)))
    return parts.scheme, endpoint, parts.netloc, path


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
