"""Describe Drover's own storage to the engine. An org has several areas. Their prefixes contain no user input."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings

from apps.background import jobs
from apps.engine.contract import StorageRoot

REMOVE_DATABASE_TASK = "connectors.remove_database"
REMOVALS = "removals"  # the queue for slow removals, with low priority

FILES = "files/"  # in `uploads_root`; the same folder as `files_root`
SCRATCH = "uploads/"


def data_root(org_id: UUID, pipeline_id: UUID) -> StorageRoot:
    """Return the area for a pipeline's file destination, used if the user names no bucket."""
    return _root(f"org/{org_id}/data/{pipeline_id}")


def databases_root(org_id: UUID) -> StorageRoot:
    """Return the area of the DuckDB files that the pipelines of a connector share, with a folder for each connector."""
    return _root(f"org/{org_id}/databases")


def database_folder(org_id: UUID, connector_id: UUID) -> str:
    """Return the folder of a connector's DuckDB file."""
    return f"org/{org_id}/databases/{connector_id}"


def request_database_removal(org_id: UUID, connector_id: UUID) -> None:
    """Defer the removal of a deleted connector's DuckDB file. apps.runs implements the task.

    The job starts after this transaction is committed.
    """
    arguments = {"org_id": str(org_id), "connector_id": str(connector_id)}
    jobs.defer(REMOVE_DATABASE_TASK, queue=REMOVALS, arguments=arguments)


def files_root(org_id: UUID) -> StorageRoot:
    """Return the area of the org's uploaded files."""
    return _root(f"org/{org_id}/{FILES}".rstrip("/"))


def uploads_root(org_id: UUID) -> StorageRoot:
    """Return the area that contains the uploaded files (`FILES`) and the uploads that are not complete (`SCRATCH`)."""
    return _root(f"org/{org_id}")


def left_out_root(org_id: UUID, run_id: UUID) -> StorageRoot:
    """Return the area for the rejected and skipped records of a run: the folder `left-out` in the run's folder."""
    return _root(f"org/{org_id}/run/{run_id}")


def check_files_root(org_id: UUID) -> StorageRoot:
    """Return the area for test files: a check of a file destination without a bucket writes there."""
    return _root(f"org/{org_id}/check")


def _root(prefix: str) -> StorageRoot:
    options: dict[str, Any] = settings.STORAGE_OPTIONS[settings.STORAGE_KIND]
    if settings.STORAGE_KIND == "s3":
        return StorageRoot(f"s3://{options['bucket_name']}", prefix, _s3_options(options))
    if settings.STORAGE_KIND == "gcs":
        return StorageRoot(f"gs://{options['bucket_name']}", prefix, _gcs_options(options))
    return StorageRoot(Path(options["location"]).absolute().as_uri(), prefix)


def _s3_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of pyarrow's S3FileSystem."""
    filesystem_options = {
        "endpoint_override": options.get("endpoint_url"),
        "access_key": options.get("access_key"),
        "secret_key": options.get("secret_key"),
        "region": options.get("region_name"),
    }
    return {name: value for name, value in filesystem_options.items() if value}


def _gcs_options(options: dict[str, Any]) -> dict[str, Any]:
    endpoint = options.get("custom_endpoint")
    return {"endpoint_override": endpoint} if endpoint else {}
