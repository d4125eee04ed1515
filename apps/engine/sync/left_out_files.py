"""Store the rejected records of a job and the first skipped ones, in Drover's storage.

    left-out/<digest of the stream>/<job>/<kind>/<first page of the batch>.<part>-<records>-<records to send again>.jsonl

A file is written before the checkpoint of its batch, so no record of a committed batch is missing. An attempt first
removes the files of pages without a checkpoint, and those of other jobs of the stream in this run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property

import orjson

from apps.engine.contract import StorageRoot
from apps.engine.failures import EngineError, Unavailable
from apps.engine.frames.left_out import (
    FILE_NAME,
    KINDS,
    MAX_KEPT,
    MAX_KEPT_BYTES,
    Kind,
    LeftOutRecord,
    LeftOutRecords,
)
from apps.engine.reporting.redaction import Redactor
from apps.engine.stores import Entry, Store
from apps.engine.stores.opening import open_root
from apps.engine.stream_keys import stream_digest
from apps.engine.sync.jobs import Job

FOLDER = "left-out/"
# A file is read as a whole, so it has a limited number of records and of bytes. A single record may be larger.
FILE_RECORDS = 1_000
FILE_BYTES = 4 << 20


class LeftOutFiles:
    """The files of one job. Secrets of the settings are masked in them. Without a root nothing is stored."""

    def __init__(
        self, root: StorageRoot | None, job: Job, redactor: Redactor, *, stream: str
    ) -> None:
        self._root = root
        self._folder = f"{FOLDER}{stream_digest(stream)}/"
        self._job = job
        self._redactor = redactor
        self._free_records = {
            "rejected": max(MAX_KEPT["rejected"] - job.rejected, 0),
            "skipped": max(MAX_KEPT["skipped"] - job.skipped, 0),
        }
        self._free_bytes: dict[str, int] = {kind: MAX_KEPT_BYTES[kind] for kind in KINDS}
        self._first_rejected: LeftOutRecord | None = None

    def roll_back(self) -> None:
        """Remove the files of pages that are read again, and of other jobs."""
        if self._root is None:
            return
        with _converting_errors():
            self._remove_stale_files()

    def _remove_stale_files(self) -> None:
        stale_keys = []
        for entry in sorted(self._store.entries(self._folder), key=lambda entry: entry.key):
            job_id, _, rest = entry.key.removeprefix(self._folder).partition("/")
            kind, _, name = rest.partition("/")
            match = FILE_NAME.fullmatch(name) if kind in KINDS else None
            is_own = job_id == self._job.id
            if not (match and is_own and int(match["page"]) < self._job.next_iteration):
                stale_keys.append(entry.key)
                continue
            self._free_bytes[kind] -= entry.size
            if kind == "rejected" and self._first_rejected is None:
                self._first_rejected = self._read_first(entry.key)
        self._store.delete(stale_keys)

    def store(self, first_page: int, left_out: LeftOutRecords) -> int:
        """Store the records of a batch, as far as there is room. Returns their bytes. Raises Unavailable if storage fails."""
        if self._first_rejected is None:
            self._first_rejected = next(iter(left_out.kept("rejected")), None)
        if self._root is None:
            return 0
        size = 0
        for kind in KINDS:
            lines = self._take_lines(kind, left_out.kept(kind))
            for part, lines_of_file in enumerate(_files_of(lines)):
                self._write_file(kind, first_page, part, lines_of_file)
            size += sum(len(line.text) for line in lines)
        return size

    def _write_file(self, kind: Kind, first_page: int, part: int, lines: list[_Line]) -> None:
        sendable = sum(line.can_be_sent for line in lines)
        name = f"{first_page:012d}.{part:03d}-{len(lines):04d}-{sendable:04d}.jsonl"
        key = f"{self._folder}{self._job.id}/{kind}/{name}"
        with _converting_errors():
            self._store.write(key, b"".join(line.text for line in lines))

    @property
    def first_rejected(self) -> LeftOutRecord | None:
        """The first rejected record of the job, also of an earlier attempt."""
        return self._first_rejected

    def _read_first(self, key: str) -> LeftOutRecord | None:
        content = self._store.read(key)
        return LeftOutRecord(**orjson.loads(content.partition(b"\n")[0])) if content else None

    def close(self) -> None:
        if "_store" in self.__dict__:
            self._store.close()

    @cached_property
    def _store(self) -> Store:
        assert self._root is not None  # noqa: S101 - callers check it
        return open_root(self._root)

    def _take_lines(self, kind: Kind, records: list[LeftOutRecord]) -> list[_Line]:
        lines = []
        for record in records[: self._free_records[kind]]:
            line = self._line_of(record)
            if len(line.text) > self._free_bytes[kind]:
                self._free_records[kind] = 0
                break
            self._free_records[kind] -= 1
            self._free_bytes[kind] -= len(line.text)
            lines.append(line)
        return lines

    def _line_of(self, record: LeftOutRecord) -> _Line:
        """Return the record with masked secrets. A record with a secret cannot be sent again, because it would differ."""
        masked = self._redactor.mask_records(asdict(record))
        # In nested values of the kept text, quotation marks are escaped twice, so that a secret may not be recognised.
        if masked["kept"] != record.kept or masked["record"] != record.record:
            masked["kept"] = None
        text = orjson.dumps(masked, option=orjson.OPT_APPEND_NEWLINE)
        return _Line(text, masked["kept"] is not None)


@dataclass(frozen=True, slots=True)
class _Line:
    text: bytes
    can_be_sent: bool


def _files_of(lines: Iterable[_Line]) -> Iterator[list[_Line]]:
    """Yield the lines of each file."""
    file: list[_Line] = []
    size = 0
    for line in lines:
        if file and (len(file) == FILE_RECORDS or size + len(line.text) > FILE_BYTES):
            yield file
            file, size = [], 0
        file.append(line)
        size += len(line.text)
    if file:
        yield file


def rejected_files(store: Store, stream: str) -> dict[str, int]:
    """Return the keys of the files with rejected records of the stream that can be sent again, and how many each has.

    Only the job that a run has published has files.
    """
    files = {}
    for entry in sorted(store.entries(f"{FOLDER}{stream_digest(stream)}/"), key=_entry_key):
        folder, _, name = entry.key.rpartition("/")
        match = FILE_NAME.fullmatch(name) if folder.endswith("/rejected") else None
        if match and (count := int(match["sendable"] or 0)):
            files[entry.key] = count
    return files


def _entry_key(entry: Entry) -> str:
    return entry.key


@contextmanager
def _converting_errors() -> Iterator[None]:
    """Convert failures of the storage, because the run's own destination is not the reason."""
    try:
        yield
    except EngineError as error:
        raise Unavailable(
            "The rejected and skipped records cannot be kept, because Drover's storage failed",
            evidence=(error.message, *error.evidence),
        ) from error
