"""The results of the engine's calls, as JSON from the child: see `apps.engine.process.child`."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from apps.engine.contract import SyncMode
from apps.json import JsonObject


class Step(TypedDict):
    """A step of a check; `ms` is its duration in milliseconds. The engine leaves `next_step` to its caller."""

    step: str
    ok: bool
    message: str
    ms: float
    next_step: NotRequired[str | None]


class CheckAnswer(TypedDict):
    """The steps of a check, up to and including the first that failed."""

    ok: bool
    steps: list[Step]


class Failure(TypedDict):
    failure_class: str
    message: str
    evidence: list[str]


class Field(TypedDict):
    name: str
    type: str
    nullable: bool


class Stream(TypedDict):
    name: str
    fields: list[Field]
    primary_key: list[str]
    cursor_fields: list[str]
    sync_modes: list[str]


class DiscoveryAnswer(TypedDict):
    streams: list[Stream]


class StreamSize(TypedDict):
    """The estimated size of a complete read of a stream: see `apps.engine.contract.SizeEstimate`."""

    records: int | None
    requests: int | None
    basis: str
    problem: str


class SizesAnswer(TypedDict):
    """The sizes of streams; a stream for which there was no time is missing.

    `names` are those of all streams, or None if the source did not list them.
    """

    sizes: dict[str, StreamSize]
    names: list[str] | None


class FilesOfStream(TypedDict):
    """How many files the stream has. The digest is of their names, sizes, and times or versions."""

    digest: str
    files: int


class FilesAnswer(TypedDict):
    """The files of each stream that has some."""

    streams: dict[str, FilesOfStream]


class LeftOutReason(TypedDict):
    """Why records of a preview are left out: see `apps.engine.contract.LeftOutReason`."""

    kind: str
    reason: str
    count: int


class PreviewAnswer(TypedDict):
    """At most 100 records, how many records a run would reject and skip and why, and how the source reads them."""

    records: list[JsonObject]
    rejected: int
    skipped: int
    left_out: list[LeftOutReason]
    fields: list[Field]
    ms: float
    read_as: str


class StoredColumn(TypedDict):
    """A column at a destination; `stored_as` is its type as the destination names it."""

    name: str
    type: str
    stored_as: str


class RowsAnswer(TypedDict):
    """Stored records as texts, each with a text or None for each column.

    `cut` has the positions of texts that were cut: [record, column]. `total` is the number of all records if it is known.
    `next_offset` is None after the last record.
    """

    columns: list[StoredColumn]
    records: list[list[str | None]]
    cut: list[list[int]]
    total: int | None
    next_offset: int | None


class LogLine(TypedDict):
    level: str
    message: str


class Request(TypedDict):
    """An HTTP request that the code sent, with the status of the response."""

    method: str
    url: str
    status: int
    ms: float


class ContactedHost(TypedDict):
    """A host that the code tried to connect to; `refused` is the reason for a refusal, or empty."""

    host: str
    port: int
    refused: str


class TrialAnswer(TypedDict):
    """A preview of a custom source for its author, with its requests and log."""

    ok: bool
    records: list[JsonObject]
    rejected: int
    skipped: int
    left_out: list[LeftOutReason]
    columns: list[Field]
    ms: float
    failure: Failure | None
    requests: list[Request]
    log: list[LogLine]
    network: list[ContactedHost]
    isolation: str


class Message(TypedDict):
    """A message about a line of code; `line` and `column` count from 1."""

    line: int
    column: int
    message: str
    severity: str


class DeclaredStream(TypedDict):
    name: str
    sync_modes: list[SyncMode]
    primary_key: list[str]
    cursor_field: str | None


class Report(TypedDict):
    """The declarations of the code, found without running it: see `apps.engine.authoring.report`."""

    valid: bool
    errors: list[Message]
    warnings: list[Message]
    source_name: str
    description: str
    contract: str
    streams: list[DeclaredStream]
    config_schema: dict[str, Any]  # a JSON Schema
    secret_names: list[str]
    auth_type: str
    hosts: list[str]


class File(TypedDict):
    """A file for a custom source: its text and report, or the reason why it cannot be used."""

    path: str
    text: NotRequired[str]
    report: NotRequired[Report]
    problem: NotRequired[str]


class UnpackedFiles(TypedDict):
    files: list[File]


class Commit(TypedDict):
    commit: str
    author: str
    subject: str
    committed_at: str | None


class Repository(Commit, UnpackedFiles):
    """The files of a branch, and its last commit."""
