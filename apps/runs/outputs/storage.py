"""The storage of logs and outputs."""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, default_storage

from apps.connectors.storage import data_root, databases_root, files_root, left_out_root

__all__ = [
    "data_root",
    "database_ids",
    "databases_root",
    "files_root",
    "left_out_folder",
    "left_out_root",
    "list_folder",
    "log_key",
    "read",
    "remove",
    "remove_log",
    "run_folder",
    "run_ids",
    "signed_url",
    "write",
]


_PART_PATTERN = re.compile(r"\d{4}-(\d{12})\.jsonl")  # the file name in a `log_key`
# The spelling of ids in keys.
_ID_PATTERN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def log_key(org_id: UUID, run_id: UUID, attempt: int, first_line: int) -> str:
    """Return the key of a log part.

    Each attempt has its own keys, so a worker that was frozen cannot overwrite the log of the next attempt.
    """
    return f"{run_folder(org_id, run_id)}/log/{attempt:04d}-{first_line:012d}.jsonl"


def left_out_folder(org_id: UUID, run_id: UUID) -> str:
    """Return the folder in which the engine keeps the rejected and skipped records of a run."""
    return f"{run_folder(org_id, run_id)}/left-out"


def run_folder(org_id: UUID, run_id: UUID) -> str:
    return f"org/{org_id}/run/{run_id}"


def run_ids(org_id: UUID) -> list[UUID]:
    """Return the ids of all runs of the org that have files in the storage."""
    try:
        folders, _ = default_storage.listdir(f"org/{org_id}/run")
    except FileNotFoundError:  # The folder does not exist: the org has not run anything yet.
        return []
    return [UUID(name) for name in folders if _ID_PATTERN.fullmatch(name)]


def database_ids(org_id: UUID) -> list[UUID]:
    """Return the ids of the connectors that have a DuckDB file in the storage."""
    folders, _ = list_folder(databases_root(org_id).prefix)
    return [UUID(name) for name in folders if _ID_PATTERN.fullmatch(name)]


def write(key: str, content: bytes) -> None:
    """Store the content under exactly this key. Existing content is replaced."""
    storage: Storage = default_storage
    if settings.STORAGE_KIND == "local":
        _write_file(Path(storage.path(key)), content)
        return
    storage.save(key, ContentFile(content))


def read(key: str) -> bytes:
    """Return the whole content. Raises FileNotFoundError."""
    with default_storage.open(key, "rb") as file:
        content: bytes = file.read()
    return content


def list_folder(folder: str) -> tuple[list[str], list[str]]:
    """Return the names of the folders and files in a folder, in order. A missing folder is empty."""
    try:
        folders, files = default_storage.listdir(folder)
    except FileNotFoundError:
        return [], []
    return sorted(folders), sorted(filter(None, files))


def remove(folder: str) -> None:
    """Remove everything below the folder, which may not exist any more."""
    if settings.STORAGE_KIND == "local":
        _remove_folder(Path(default_storage.path(folder)))
    else:
        _remove_objects(folder)


def remove_log(org_id: UUID, run_id: UUID, *, end_line: int) -> None:
    """Remove the parts of a run's log that begin before line `end_line`, and the records that did not arrive.

    A new attempt may write later parts.
    """
    remove(left_out_folder(org_id, run_id))
    folder = f"{run_folder(org_id, run_id)}/log"
    try:
        _, names = default_storage.listdir(folder)
    except FileNotFoundError:  # The log was removed before, or nothing was written.
        return
    for name in names:
        match = _PART_PATTERN.fullmatch(name)
        if match and int(match[1]) < end_line:
            default_storage.delete(f"{folder}/{name}")
    if settings.STORAGE_KIND == "local":
        _remove_empty_folders(Path(default_storage.path(folder)))


def signed_url(key: str, *, name: str) -> str | None:
    """Return a short-lived download link with the file name `name`. Returns None if links are not supported."""
    disposition = f'attachment; filename="{name}"'
    backend: Any = default_storage  # its `url` accepts parameters of django-storages
    if settings.STORAGE_KIND == "s3":
        parameters = {"ResponseContentDisposition": disposition}
        return str(backend.url(key, parameters=parameters))
    if settings.STORAGE_KIND == "gcs" and _can_sign():
        return str(backend.url(key, parameters={"response_disposition": disposition}))
    return None


def _can_sign() -> bool:
    """Whether the store can sign links. An emulator cannot."""
    return not settings.STORAGE_OPTIONS["gcs"].get("custom_endpoint")


def _remove_folder(path: Path) -> None:
    """Remove a folder. Missing entries are no error, because another process may be removing the folder too."""
    while path.exists():
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)


def _remove_empty_folders(log: Path) -> None:
    """Remove the log's folder and the folder of its run if they are empty."""
    for folder in (log, log.parent):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _remove_objects(folder: str) -> None:
    folders, names = default_storage.listdir(folder)
    for name in filter(None, names):
        default_storage.delete(f"{folder}/{name}")
    for name in folders:
        _remove_objects(f"{folder}/{name}")


def _write_file(path: Path, content: bytes) -> None:
    """Write the file atomically, so that a reader never sees an incomplete part."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary_file = path.with_name(f".{path.name}.new")
    temporary_file.write_bytes(content)
    temporary_file.chmod(0o600)
    temporary_file.replace(path)
