"""The stored document of a definition, and how to read it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Literal, NotRequired, TypedDict, cast
from uuid import UUID

from apps.connectors import catalogue, secrets
from apps.engine.contract import Contract, SyncMode, WriteMode
from apps.engine.field_rules import CastType, OtherFields, Protection
from apps.json import JsonValue

RequestDocument = Mapping[str, object]  # JSON of a request that is not validated yet
SideName = Literal["source", "destination"]
SIDES: tuple[SideName, ...] = ("source", "destination")


class SideDocument(TypedDict):
    """A source or destination: a saved connector, or a kind with inline settings."""

    connector_id: str | None
    kind: str
    config: dict[str, Any] | None  # the settings without secrets; None with a connector
    # The version of a custom source; None means the latest approved version.
    version: NotRequired[int | None]


class TransformDocument(TypedDict):
    """A transformation of a stream's records between source and destination."""

    kind: Literal["python"]
    code: str


class FieldRuleDocument(TypedDict):
    """What happens to one field: see `apps.engine.field_rules`. Settings that change nothing are not stored."""

    field: str
    drop: NotRequired[bool]
    name: NotRequired[str]
    type: NotRequired[CastType]
    protect: NotRequired[Protection]


class FieldsDocument(TypedDict):
    """The rules for the fields of a stream, and whether the fields without a rule arrive."""

    others: OtherFields
    rules: list[FieldRuleDocument]


class StreamDocument(TypedDict):
    """The stream to read from the source, and how to write its records.

    `cursor_field` and `primary_key` have the names of the source. The limits are stored only if they differ from their
    default values, False and 0, `fields` only if its rules change something, and `contract` only if it is not `evolve`.
    """

    stream: str
    table: str
    sync_mode: SyncMode
    cursor_field: str | None
    primary_key: list[str]
    write_mode: WriteMode
    transforms: list[TransformDocument]
    allow_empty: NotRequired[bool]  # whether a result without rows may replace existing rows
    max_rejected_share: NotRequired[float]  # of the records read, from 0 to 1
    fields: NotRequired[FieldsDocument]
    contract: NotRequired[Contract]  # what happens to new and changed columns


SnapshotScope = Literal["auto", "run", "stream"]
SnapshotRetry = Literal["remaining", "all"]


class SnapshotDocument(TypedDict):
    """In which snapshots a run reads its streams, if its source has snapshots.

    The scope is one snapshot for the run, one for each stream, or `auto`: one for the run if reading does not take long.
    `retry` says what another attempt reads in its new snapshot: the streams that are not published, or all of them.
    """

    scope: SnapshotScope
    retry: SnapshotRetry


DEFAULT_SNAPSHOT = SnapshotDocument(scope="auto", retry="remaining")


NewStreams = Literal["add", "ask", "ignore"]
OnStreamFailure = Literal["continue", "stop"]


class PatternsDocument(TypedDict):
    """Patterns that choose streams at each run, and the settings of the streams that they choose."""

    match: list[str]
    sync_mode: SyncMode
    cursor_field: str | None
    write_mode: WriteMode | None  # None means the default of each stream
    allow_empty: NotRequired[bool]
    max_rejected_share: NotRequired[float]
    contract: NotRequired[Contract]
    # A rule for a field that a stream does not have changes nothing.
    fields: NotRequired[FieldsDocument]
    transforms: NotRequired[list[TransformDocument]]


class Offer(TypedDict):
    """What a source offers of a stream."""

    primary_key: list[str]
    cursor_fields: list[str]
    sync_modes: list[str]


class Document(TypedDict):
    """A definition. No two of its streams have the same name. Without patterns it has at least one stream.

    The optional parts are stored only if they are set, and `snapshot` only if it differs from DEFAULT_SNAPSHOT.
    """

    source: SideDocument
    streams: list[StreamDocument]
    destination: SideDocument
    snapshot: NotRequired[SnapshotDocument]
    patterns: NotRequired[PatternsDocument]
    naming: NotRequired[str]  # the naming rule of streams without a table of their own
    new_streams: NotRequired[NewStreams]  # what happens to new streams that match; `add` by default
    # Whether a run begins further streams after one has failed; stored only if it is `stop`.
    on_stream_failure: NotRequired[OnStreamFailure]


@dataclass(frozen=True)
class Definition:
    """A definition in its stored form.

    `secrets` are the inline secrets by path. `document` does not contain them; `mask` adds a marker for each before it
    is shown.
    """

    document: Document
    secrets: dict[str, Any] = field(default_factory=dict)

    def with_secrets_apart(self) -> Definition:
        """Return the same definition with those secrets apart that were stored before their settings became secrets."""
        found: dict[str, Any] = {}
        document = self.document
        for side in SIDES:
            part = document[side]
            kind = catalogue.find(side, part["kind"])
            if part["config"] is None or kind is None:
                continue
            visible, secrets_of_side = secrets.split(part["config"], kind.secrets)
            found |= {f"{side}.config.{path}": value for path, value in secrets_of_side.items()}
            document = cast(Document, {**document, side: {**part, "config": visible}})
        return Definition(document, {**found, **self.secrets}) if found else self

    @property
    def hints(self) -> dict[str, str]:
        return secrets.hints(self.secrets)

    @property
    def streams(self) -> list[StreamDocument]:
        return self.document["streams"]

    @property
    def snapshot(self) -> SnapshotDocument:
        return self.document.get("snapshot", DEFAULT_SNAPSHOT)

    @property
    def patterns(self) -> PatternsDocument | None:
        return self.document.get("patterns")

    @property
    def stops_at_failure(self) -> bool:
        """Whether a run begins no further stream after one has failed."""
        return self.document.get("on_stream_failure") == "stop"

    def stream(self, name: str | None = None) -> StreamDocument | None:
        """Return the stream with this name, or the first stream without a name. Returns None for an unknown name."""
        return next((each for each in self.streams if name in (None, each["stream"])), None)

    def with_streams(self, streams: list[StreamDocument]) -> Definition:
        """Return the same definition with other streams."""
        return Definition({**self.document, "streams": streams}, self.secrets)


def connector_ids(*documents: RequestDocument) -> set[UUID]:
    """Return every valid connector id in the documents."""
    ids = set()
    for document in documents:
        for side in SIDES:
            part = document.get(side)
            pk = parse_uuid(part.get("connector_id")) if isinstance(part, Mapping) else None
            if pk:
                ids.add(pk)
    return ids


def python_code(stream: StreamDocument | PatternsDocument | None) -> str | None:
    """Return the code of the Python transform of a stream, or of the streams of patterns, if there is one."""
    transforms = stream.get("transforms", []) if stream else []
    return next((transform["code"] for transform in transforms), None)


def mask(document: Document, hints: Mapping[str, str]) -> Document:
    """Return the document with a marker `{"set": true, "last4": …}` for each inline secret."""
    masked = deepcopy(document)
    for side in SIDES:
        part = masked[side]
        if part["config"] is None:
            continue
        kind = catalogue.find(side, part["kind"])
        side_hints = entries_of_side(hints, side)
        part["config"] = secrets.mask(
            part["config"], side_hints, kind.secrets if kind else frozenset()
        )
    return masked


def plain_config(definition: Definition, side: SideName) -> dict[str, JsonValue]:
    """Return the inline settings of one side with their secrets."""
    return secrets.join(
        definition.document[side]["config"] or {}, entries_of_side(definition.secrets, side)
    )


def document_with_secrets(definition: Definition) -> RequestDocument:
    """Return the document with its plain secrets, in the form of a request."""
    document: dict[str, Any] = {**deepcopy(definition.document)}
    for side in SIDES:
        if document[side]["config"] is not None:
            document[side]["config"] = plain_config(definition, side)
        else:
            del document[side]["config"]
    return document


def entries_of_side(by_path: Mapping[str, Any], side: SideName) -> dict[str, Any]:
    """Return the entries of one side, with paths relative to its inline settings."""
    prefix = f"{side}.config."
    return {p.removeprefix(prefix): v for p, v in by_path.items() if p.startswith(prefix)}


def parse_uuid(value: Any) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
