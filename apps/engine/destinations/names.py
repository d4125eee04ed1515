"""Validate the names of file sets, and the ids of jobs and batches."""

from __future__ import annotations

import re

from apps.engine.failures import ConfigurationError

_FILE_SET_NAME = re.compile(r"\w[\w .-]{0,99}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def valid_file_set(table: str) -> str:
    """Return the name if it is a valid folder name of a file set. Raises ConfigurationError."""
    if not _FILE_SET_NAME.fullmatch(table) or table != table.strip():
        raise ConfigurationError(
            "The name of the destination table must be at most 100 letters, digits, spaces, dots, - and _,"
            " and begin with a letter, a digit or _",
            evidence=(f"destination.table: {table[:100]!r}",),
        )
    return table


def valid_key_part(id_: str) -> str:
    """Return the id of a job or batch if it can be part of a key.

    Raises ValueError otherwise, which is a bug, because the engine generates these ids.
    """
    if not _ID.fullmatch(id_):
        raise ValueError(f"{id_!r} cannot be part of a key")
    return id_
