"""Read records of a file set, for a person who looks at them. The bucket of a user may contain hostile files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import polars as pl

from apps.engine.destinations.file_sets.formats import FileFormat
from apps.engine.destinations.file_sets.manifest import Manifest, Part
from apps.engine.destinations.stored_rows import Row, RowWindow, StoredColumn, StoredRows, TableGone
from apps.engine.failures import DestinationError
from apps.engine.frames.columns import as_text
from apps.engine.stores import Store

MAX_DOWNLOAD = (
    128 << 20
)  # bytes of a file in a bucket, which is read as a whole; our own parts are smaller


def read_rows(
    store: Store, folder: str, manifest: Manifest | None, format_: FileFormat, window: RowWindow
) -> StoredRows:
    """Return records of the visible parts, in their order. Raises TableGone and DestinationError."""
    if manifest is None:
        raise TableGone("The folder has no files any more")
    names = window.choose(manifest.columns)
    columns = [
        StoredColumn.of(name, manifest.columns[name], manifest.columns[name].declared_type)
        if manifest.columns[name].native
        else StoredColumn.of(name, manifest.columns[name], manifest.columns[name].type_name)
        for name in names
    ]
    rows: list[Row] = []
    for part, first, limit in _parts_of_window(manifest, window):
        try:
            content = _open_part(store, f"{folder}/{part.key}")
            rows += format_.read_rows(content, manifest.columns, names, first, limit)
        except (pl.exceptions.PolarsError, ValueError, OSError, RecursionError) as error:
            line = f"{type(error).__name__}: {_without_folder(str(error))}"[:200]
            raise DestinationError(f"{part.key} cannot be read", evidence=(line,)) from error
    return StoredRows(columns, rows, sum(part.rows for part in manifest.parts))


def _without_folder(text: str) -> str:
    """Return the text without the folders of this machine."""
    return re.sub(r"/[^\s'\"]*/", "", text)


def texts_of(frame: pl.DataFrame, names: Sequence[str]) -> list[Row]:
    """Return the rows with these columns as texts. A column that the frame does not have is null."""
    columns = [
        cast("list[str | None]", as_text(frame[name]).to_list())
        if name in frame.columns
        else [None] * frame.height
        for name in names
    ]
    return list(zip(*columns, strict=True))


def _parts_of_window(manifest: Manifest, window: RowWindow) -> Iterator[tuple[Part, int, int]]:
    """Yield the parts that contain records of the window, with the first record in the part and their number."""
    begin, end = window.offset, window.offset + window.limit
    for part in manifest.parts:
        if begin < part.rows and end > 0:
            yield part, max(begin, 0), min(end, part.rows) - max(begin, 0)
        begin, end = begin - part.rows, end - part.rows


def _open_part(store: Store, key: str) -> Path | bytes:
    """Return the file. Raises TableGone if it was replaced meanwhile, and DestinationError."""
    size = store.size(key)
    if size is None:
        raise TableGone("The files have been replaced: look again")
    if size > MAX_DOWNLOAD and not store.is_local:
        raise DestinationError(
            f"A file of {size:,} bytes is too large to be shown from a bucket: download it instead"
        )
    return store.path_or_bytes(key)
