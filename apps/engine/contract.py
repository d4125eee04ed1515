"""The engine's interface: the specification of a run, and the events that the run reports.

The module has only frozen dataclasses and JSON, so the web process can import it without polars and bizon.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from apps.engine.failures import FailureClass
from apps.engine.field_rules import NO_RULES, FieldRules
from apps.engine.shared_snapshots import SharedSnapshot
from apps.engine.source_columns import SourceColumns
from apps.engine.stream_keys import backfill_key, pipeline_prefix, replay_key, stream_key
from apps.engine.windows import CursorWindow, window_from_json
from apps.json import JsonObject

SyncMode = Literal["full_refresh", "incremental"]
WriteMode = Literal["replace", "append", "merge"]
Contract = Literal["evolve", "freeze", "drop_columns", "drop_rows"]  # see `frames.contracts`
MAX_CURSOR = 10_000  # characters of a cursor as JSON that is reported
CHILD_MEMORY = 2048 << 20  # bytes
LogLevel = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class CodeSpec:
    """A user's Python code, which runs only in the sandbox.

    `hosts` is its allow-list (`apps.egress.allowlist`). `secret_names` are further settings
    that are secret, besides those whose names suggest it. `label` identifies the code in logs.
    """

    text: str
    hosts: tuple[str, ...] = ()
    secret_names: tuple[str, ...] = ()
    label: str = "custom source"

    @classmethod
    def from_json(cls, value: JsonObject) -> CodeSpec:
        fields: dict[str, Any] = dict(value)
        tuples = {name: tuple(fields.get(name, ())) for name in ("hosts", "secret_names")}
        return cls(**{**fields, **tuples})


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """The folder for the files of sandboxes, and the limits of the code (`apps.engine.sandbox.limits`).

    `home` is a folder for prepared file systems and work folders. `min_isolation` is the weakest isolation level
    at which the code may run.
    """

    home: str = ""
    min_isolation: str = "good"
    limits: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """The source of a run. `config` is validated against the catalogue and contains secrets in plain text.

    If `code` is set, that code is the source, and `kind` is only its name. With `snapshot`, the stream is read as it is
    in that snapshot. With `window`, only these rows are read, and the saved position of the stream is neither read nor
    changed. With `is_reread`, all rows are read without the saved position in the same way.
    """

    kind: str
    config: Mapping[str, Any]
    stream: str
    sync_mode: SyncMode = "full_refresh"
    cursor_field: str | None = None
    primary_key: tuple[str, ...] = ()
    code: CodeSpec | None = None
    snapshot: SharedSnapshot | None = None
    window: CursorWindow | None = None
    is_reread: bool = False

    @property
    def is_backfill(self) -> bool:
        return self.window is not None or self.is_reread

    @classmethod
    def from_json(cls, value: JsonObject) -> SourceSpec:
        fields: dict[str, Any] = dict(value)
        code, snapshot = fields.get("code"), fields.get("snapshot")
        parsed = {
            "primary_key": tuple(fields.get("primary_key", ())),
            "code": CodeSpec.from_json(code) if code else None,
            "snapshot": SharedSnapshot(**snapshot) if snapshot else None,
            "window": window_from_json(fields),
        }
        return cls(**{**fields, **parsed})


@dataclass(frozen=True, slots=True)
class DestinationSpec:
    """The destination of a run. `table` is the name of a table, file set or dataset, depending on the kind.

    `protects_other_pipelines` forbids replacing a table to which another pipeline has published. `shared_folder` is the
    prefix, of ids only, of the folder of a DuckDB file that several pipelines write; it is empty if the file is the
    pipeline's own. `has_companions` tells that other streams of the run write to the same destination at the same time.
    With `window`, publishing also deletes the rows of the window before it appends the new rows. With `newest_by`, a
    column, merging keeps a row of the table that has a greater value in it than the new row of its key.
    """

    kind: str
    config: Mapping[str, Any]
    table: str
    write_mode: WriteMode = "replace"
    primary_key: tuple[str, ...] = ()
    protects_other_pipelines: bool = False
    shared_folder: str = ""
    has_companions: bool = False
    window: CursorWindow | None = None
    newest_by: str = ""

    @property
    def removes_rows(self) -> bool:
        """Whether publishing removes rows that earlier runs have written."""
        return self.write_mode == "replace" or self.window is not None


@dataclass(frozen=True, slots=True)
class StorageRoot:
    """A part of Drover's own storage that this run may use.

    `url` is `file:///abs/dir`, `s3://bucket` or `gs://bucket`; `prefix` consists of ids only. `options` are
    the options of pyarrow's file systems (endpoint_override, access_key, ...).
    """

    url: str
    prefix: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PublishRules:
    """When the result of a sync may be published.

    A result without rows replaces existing rows only with `allow_empty`. `max_rejected_share` is the largest share of
    rejected records among the records read, from 0 to 1.
    """

    allow_empty: bool = False
    max_rejected_share: float = 0.0


@dataclass(frozen=True, slots=True)
class KeptRecords:
    """The rejected records of an earlier run that a run sends again, instead of reading the source.

    `count` is their number. `hashed` are the fields whose values are hashes by the rules of this run already.
    """

    run_id: str
    root: StorageRoot
    count: int
    hashed: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, value: JsonObject) -> KeptRecords:
        fields: dict[str, Any] = dict(value)
        root, hashed = StorageRoot(**fields["root"]), tuple(fields.get("hashed", ()))
        return cls(**{**fields, "root": root, "hashed": hashed})


@dataclass(frozen=True, slots=True)
class RunSpec:
    """Everything that a child process needs for one attempt.

    It is sent over a pipe, never in arguments, environment variables or files, because it contains secrets.
    """

    run_id: str
    org_id: str
    pipeline_id: str
    attempt: int
    lease: str
    source: SourceSpec
    destination: DestinationSpec
    state_dsn: str  # connection string of a role that can access only the engine's schema
    data: StorageRoot  # the storage for file destinations if the user names no bucket
    files: StorageRoot  # the org's uploaded files, which the `files` source may read
    allow_private_networks: bool = False
    log_level: LogLevel = "info"
    sandbox: SandboxSpec = field(default_factory=SandboxSpec)
    fields: FieldRules = NO_RULES  # applied to each record before the transform
    transform: CodeSpec | None = None  # applied to each record between source and destination
    contract: Contract = "evolve"
    rules: PublishRules = PublishRules()
    left_out: StorageRoot | None = None  # the storage for records of this run that do not arrive
    replay: KeptRecords | None = None

    @property
    def stream_key(self) -> str:
        """The key of the state of this run of the stream."""
        ids = (self.org_id, self.pipeline_id, self.source.stream)
        if self.replay is not None:
            return replay_key(*ids)
        return backfill_key(*ids) if self.source.is_backfill else stream_key(*ids)

    @property
    def live_key(self) -> str:
        """The key of the state of the ordinary runs of the stream."""
        return stream_key(self.org_id, self.pipeline_id, self.source.stream)

    @property
    def pipeline_prefix(self) -> str:
        return pipeline_prefix(self.org_id, self.pipeline_id)

    @classmethod
    def from_json(cls, value: JsonObject) -> RunSpec:
        fields: dict[str, Any] = dict(value)
        destination = dict(fields["destination"])
        destination["primary_key"] = tuple(destination.get("primary_key", ()))
        destination["window"] = window_from_json(destination)
        transform = fields.get("transform")
        left_out, replay = fields.get("left_out"), fields.get("replay")
        nested = {
            "source",
            "destination",
            "data",
            "files",
            "sandbox",
            "fields",
            "transform",
            "rules",
            "left_out",
            "replay",
        }
        plain_fields = {name: field for name, field in fields.items() if name not in nested}
        return cls(
            source=SourceSpec.from_json(fields["source"]),
            sandbox=SandboxSpec(**fields.get("sandbox", {})),
            destination=DestinationSpec(**destination),
            data=StorageRoot(**fields["data"]),
            files=StorageRoot(**fields["files"]),
            fields=FieldRules.from_json(fields.get("fields", {})),
            transform=CodeSpec.from_json(transform) if transform else None,
            rules=PublishRules(**fields.get("rules", {})),
            left_out=StorageRoot(**left_out) if left_out else None,
            replay=KeptRecords.from_json(replay) if replay else None,
            **plain_fields,
        )


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """Limits of one child process: bytes of address space, and seconds of CPU time for short calls."""

    memory: int = CHILD_MEMORY
    cpu_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """The child has started the work of the run; `pid` is its process id."""

    pid: int


@dataclass(frozen=True, slots=True)
class Progress:
    """Totals of the sync so far, including earlier attempts. `total` is the source's record count, if known.

    `read` equals `written` plus `rejected` plus `skipped`.
    """

    read: int
    written: int
    rejected: int
    bytes: int
    iterations: int
    total: int | None = None
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class LogLine:
    """One structured log line; `at` is RFC 3339 UTC."""

    at: str
    level: LogLevel
    message: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def now(cls, level: LogLevel, message: str, fields: JsonObject | None = None) -> LogLine:
        at = datetime.now(tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return cls(at, level, message, fields or {})


@dataclass(frozen=True, slots=True)
class Network:
    """The hosts that this attempt has tried to reach: `{host, port, address, refused, connections, sent,
    received}`.

    `refused` is the reason why a connection was refused, or empty. `sent` and `received` are bytes, or 0 if the
    bytes are not counted.
    """

    hosts: list[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Working:
    """The child is making progress, or starts an operation that may take `seconds` without another message.

    `doing` describes that operation, such as "publishing".
    """

    doing: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A published file in the storage `RunSpec.data`; `key` starts with the prefix of this storage."""

    name: str
    key: str
    bytes: int
    rows: int
    media_type: str


@dataclass(frozen=True, slots=True)
class FilesWithdrawn:
    """Earlier files whose key starts with `prefix` are no longer published; events for the new files follow."""

    prefix: str


@dataclass(frozen=True, slots=True)
class FileMoved:
    """A file that an earlier run of the pipeline has published was rewritten, and now has another key and size."""

    key: str
    new_key: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The rows are published. The totals are of the whole sync, including earlier attempts.

    `read` equals `written` plus `rejected` plus `skipped`. A record is rejected if it could not be read or does not fit,
    and skipped if the user chose to leave it out. The cursors are the positions of an incremental stream before and
    after the sync, None if there is none or if it is longer than MAX_CURSOR characters. `snapshot_at` is the time of
    the snapshot that the stream shared with others, or None.
    """

    read: int
    written: int
    rejected: int
    bytes: int
    skipped: int = 0
    cursor_before: Mapping[str, Any] | None = None
    cursor_after: Mapping[str, Any] | None = None
    snapshot_at: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed. No row of this sync is visible; the next attempt continues from the last checkpoint."""

    failure_class: FailureClass
    message: str
    evidence: tuple[str, ...] = ()
    retryable: bool = False
    retry_after: float | None = None  # seconds


FileEvent = OutputFile | FilesWithdrawn | FileMoved
Event = Started | Progress | LogLine | Network | SourceColumns | FileEvent | Succeeded | Failed
Outcome = Succeeded | Failed

StopReason = Literal["cancelled", "timeout", "limit", "silent", "lease_lost", "shutdown"]


@dataclass(frozen=True, slots=True)
class CheckStep:
    """One named step of a connection check; `ms` is its duration in milliseconds."""

    step: str
    ok: bool
    message: str
    ms: float


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """A column of a discovered stream; `type` is one of string, integer, number, boolean, timestamp, date, json."""

    name: str
    type: str
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """A stream that a source offers."""

    name: str
    fields: tuple[FieldInfo, ...] = ()
    primary_key: tuple[str, ...] = ()
    cursor_fields: tuple[str, ...] = ()
    sync_modes: tuple[SyncMode, ...] = ("full_refresh",)


@dataclass(frozen=True, slots=True)
class SizeEstimate:
    """What a complete read of a stream needs: records, and requests if they depend on the number of records.

    `basis` tells where the numbers come from. `problem` is the reason if the source could not be read.
    """

    records: int | None = None
    requests: int | None = None
    basis: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class LeftOutReason:
    """Why records of a preview are left out, and how many. A reason that names a value is that of the first record."""

    kind: Literal["rejected", "skipped"]
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class PreviewResult:
    """At most 100 records as JSON-able rows, and how many records a run would reject and skip.

    `left_out` has their most frequent reasons. `read_as` is how the source reads the records, in words, if it has detected that.
    """

    records: tuple[Mapping[str, Any], ...]
    rejected: int
    skipped: int
    left_out: tuple[LeftOutReason, ...]
    fields: tuple[FieldInfo, ...]
    ms: float
    read_as: str = ""
