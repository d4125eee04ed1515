"""The storage of logs and outputs, and its description for the engine. Keys consist of ids only."""

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

from apps.connectors.storage import data_root, files_root

__all__ = [
    "data_root",
    "files_root",
    "log_key",
    "read",
    "remove",
    "remove_log",
    "run_folder",
    "run_ids",
    "signed_url",
    "write",
]


_PART = re.compile(r"\d{4}-(\d{12})\.jsonl")  # the pattern of log_key
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # as spelled in keys


def log_key(org_id: UUID, run_id: UUID, attempt: int, first_line: int) -> str:
    """Return the key of a log part.

    Each attempt has its own keys, so a frozen worker cannot overwrite its successor's.
    """
    return f"{run_folder(org_id, run_id)}/log/{attempt:04d}-{first_line:012d}.jsonl"


def run_folder(org_id: UUID, run_id: UUID) -> str:
    return f"org/{org_id}/run/{run_id}"


def run_ids(org_id: UUID) -> list[UUID]:
    """Return all runs of the org that have files here."""
    try:
        folders, _ = default_storage.listdir(f"org/{org_id}/run")
    except FileNotFoundError:  # The folder does not exist: the org has not run anything yet.
        return []
    return [UUID(name) for name in folders if _ID.fullmatch(name)]


def write(key: str, content: bytes) -> None:
    """Store under exactly this key, replacing the result of an earlier try of the same write."""
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


def remove(folder: str) -> None:
    """Remove everything below the folder, which may not exist any more."""
    if settings.STORAGE_KIND == "local":
        _remove_folder(Path(default_storage.path(folder)))
    else:
        _remove_objects(folder)


def remove_log(org_id: UUID, run_id: UUID, *, before: int) -> None:
    """Remove the parts of a run's log that begin before this line; a new attempt may write others meanwhile."""
    folder = f"{run_folder(org_id, run_id)}/log"
    try:
        _, names = default_storage.listdir(folder)
    except (
        FileNotFoundError
    ):  # The folder does not exist: it was removed already, or nothing was written.
        return
    for name in names:
        found = _PART.fullmatch(name)
        if found and int(found[1]) < before:
            default_storage.delete(f"{folder}/{name}")
    if settings.STORAGE_KIND == "local":
        _remove_empty_folders(Path(default_storage.path(folder)))


def signed_url(key: str, *, name: str) -> str | None:
    """Return a short-lived download link with the file name `name`; None if the backend does not support links."""
    disposition = f'attachment; filename="{name}"'
    backend: Any = default_storage  # parameters of django-storages
    if settings.STORAGE_KIND == "s3":
        parameters = {"ResponseContentDisposition": disposition}
        return str(backend.url(key, parameters=parameters))
    if settings.STORAGE_KIND == "gcs" and _can_sign():
        return str(backend.url(key, parameters={"response_disposition": disposition}))
    return None


def _can_sign() -> bool:
    """Whether links can be signed: not by an emulator, nor without a service account's key. Then the file is
    streamed.
    """
    return not settings.STORAGE_OPTIONS["gcs"].get("custom_endpoint")


def _remove_folder(path: Path) -> None:
    """Remove a folder. Another process may be removing it too, so missing entries are not an error."""
    while path.exists():
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)


def _remove_empty_folders(log: Path) -> None:
    """Remove the log's folder and its run's, if they are empty."""
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
    """Write the file atomically: a reader never sees half a part."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(content)
    draft.chmod(0o600)
    draft.replace(path)
