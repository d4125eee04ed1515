"""DuckDB files that the pipelines of a connector share: remove a pipeline's tables, and copy a file for a download.

Such a file belongs to the org. It contains the tables of pipelines of all domains.
"""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from django.conf import settings
from django.core.files.storage import default_storage

from apps.connectors import engine
from apps.connectors.models import Connector
from apps.connectors.storage import database_folder, databases_root
from apps.orgs.walls.scope import org_scope
from apps.runs.exceptions import DatabaseBusy
from apps.runs.models import Output
from apps.runs.outputs import storage

FILE_NAME = "database.duckdb"
MEDIA_TYPE = "application/vnd.duckdb"
MODULE = "apps.engine.destinations.duckdb.tables"
DROP_SECONDS = 600.0
LOCK_SECONDS = 20.0  # after this time, a download fails because runs write to the file
POLL_INTERVAL = 0.1

# A process loses its lock on a file as soon as it closes any handle of the file, so it copies one file at a time.
_copying = threading.Lock()


def drop_tables(org_id: UUID, pipeline_id: UUID) -> None:
    """Drop the tables of a deleted pipeline, and remove the files of deleted connectors. Safe to repeat.

    Raises an error if a file is in use; the job is then tried again.
    """
    for connector_id in storage.database_ids(org_id):
        if not remove_if_deleted(org_id=org_id, connector_id=connector_id):
            _drop_tables_in_file(org_id, connector_id, pipeline_id)


def remove_if_deleted(*, org_id: UUID, connector_id: UUID) -> bool:
    """Remove the file of a connector that was deleted. Returns False if the connector exists. Safe to repeat."""
    folder = database_folder(org_id, connector_id)
    with org_scope(org_id):
        if Connector.objects.for_org(org_id).filter(pk=connector_id).exists():
            return False
        Output.objects.for_org(org_id).filter(
            key=f"{folder}/{FILE_NAME}", media_type=MEDIA_TYPE
        ).delete()
    storage.remove(folder)
    return True


def _drop_tables_in_file(org_id: UUID, connector_id: UUID, pipeline_id: UUID) -> None:
    root = databases_root(org_id)
    key = f"{database_folder(org_id, connector_id)}/{FILE_NAME}"
    payload: dict[str, Any] = {
        "kind": "duckdb",
        "data": {**asdict(root), "prefix": ""},
        "file": key,
        "owner": storage.data_root(org_id, pipeline_id).prefix,
    }
    answer = engine.call_function(
        "drop_tables", module=MODULE, org_id=org_id, payload=payload, seconds=DROP_SECONDS
    )
    if answer["bytes"] is not None:
        with org_scope(org_id):
            Output.objects.for_org(org_id).filter(key=key, media_type=MEDIA_TYPE).update(
                bytes=answer["bytes"]
            )


def is_copied(output: Output) -> bool:
    """Whether a download must copy the file, because runs change it in place."""
    return output.media_type == MEDIA_TYPE and settings.STORAGE_KIND == "local"


def copy(key: str) -> IO[bytes]:
    """Return a temporary copy of a DuckDB file, made while no run writes to it.

    Raises FileNotFoundError, and DatabaseBusy if runs write to it for long.
    """
    path = Path(default_storage.path(key))
    copied: IO[bytes] = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115 - the response closes it
    deadline = time.monotonic() + LOCK_SECONDS
    try:
        while not _try_to_copy(path, copied, wait=max(0, deadline - time.monotonic())):
            if time.monotonic() > deadline:
                raise DatabaseBusy
            time.sleep(POLL_INTERVAL)
    except BaseException:
        copied.close()
        raise
    copied.seek(0)
    return copied


def _try_to_copy(path: Path, copied: IO[bytes], *, wait: float) -> bool:
    """Copy the file under the lock that DuckDB uses.

    Returns False if a run has locked it, or if other files are still being copied after `wait` seconds.
    """
    if not _copying.acquire(timeout=wait):
        return False
    try:
        with path.open("rb") as file:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            shutil.copyfileobj(file, copied, 1 << 20)
    except BlockingIOError:
        return False
    finally:
        _copying.release()
    return True
