"""What a source has of a stream: the names and types of its columns, and its key. There are no values.

The module has only frozen dataclasses, so the web process can import it without polars.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MAX_COLUMNS = 2_000  # columns of a stream; more are not reported
MAX_NAME_LENGTH = 200  # characters; columns with longer names are not reported


@dataclass(frozen=True, slots=True)
class SourceColumns:
    """What an attempt has found of a stream in its source, before rules for fields and a transform change it.

    `columns` has the type of each column, which is empty if the source does not declare it. `key` is the primary key, or
    None if the source does not declare one. A column that is not listed exists only if the list is not complete.
    `left_out` are the new columns that the contract has left out. With `is_missing` the source has no such stream.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    key: Sequence[str] | None = None
    is_complete: bool = False
    left_out: Sequence[str] = ()
    is_missing: bool = False
