"""What tables, jobs and batches may be called."""

from __future__ import annotations

import re

from apps.engine.failures import ConfigurationError

_FILE_SET = re.compile(r"\w[\w .-]{0,99}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def file_set(table: str) -> str:
    """A name for a set of files, one folder. Raises ConfigurationError."""
    if not _FILE_SET.fullmatch(table) or table != table.strip():
        raise ConfigurationError(
            "The name of the data must be at most 100 letters, digits, spaces, dots, - and _,"
            " and begin with a letter, a digit or _",
            evidence=(f"destination.table: {table[:100]!r}",),
        )
    return table


def key_part(identity: str) -> str:
    """The id of a job or batch, as part of a key. Raises ValueError: ids are the engine's own."""
    if not _ID.fullmatch(identity):
        raise ValueError(f"{identity!r} cannot be part of a key")
    return identity
