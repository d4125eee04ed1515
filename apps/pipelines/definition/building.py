"""Validate the document of a request, and convert it to a definition. Each error names its field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast, get_args

from apps.connectors import schemas
from apps.connectors.catalogue import Kind
from apps.connectors.custom_sources.kinds import Kinds
from apps.connectors.schemas import Error, join_path
from apps.engine.contract import WriteMode
from apps.pipelines.definition.document import (
    DEFAULT_SNAPSHOT,
    SIDES,
    Definition,
    Document,
    OnStreamFailure,
    RequestDocument,
    SideName,
    StreamDocument,
)
from apps.pipelines.definition.fields import build_fields, key_errors
from apps.pipelines.definition.names import naming_problem
from apps.pipelines.definition.patterns import PATTERNS, PatternsBuilder, new_streams_error
from apps.pipelines.definition.sides import Connectors, Side
from apps.pipelines.definition.snapshot import build_snapshot, snapshot_errors
from apps.pipelines.definition.streams import STREAMS, Naming, StreamsBuilder, build_transforms

SNAPSHOT = "snapshot"
ON_FAILURE = "on_stream_failure"
ON_FAILURE_CHOICES: tuple[str, ...] = get_args(OnStreamFailure)  # the first is the default
TOP_LEVEL_FIELDS = (
    "source", "streams", "destination", SNAPSHOT, PATTERNS, "naming", "new_streams", ON_FAILURE,
)  # fmt: skip
# Fields of a stream that older releases expected inside the source or destination.
MOVED_SIDE_FIELDS: Mapping[SideName, tuple[str, ...]] = {
    "source": ("stream", "sync_mode", "cursor_field", "primary_key"),
    "destination": ("table", "write_mode"),
}
MOVED_TOP_LEVEL_FIELD = "transforms"


def build(
    request: RequestDocument,
    *,
    connectors: Connectors,
    previous: Definition | None = None,
    patch: bool = False,
) -> tuple[Definition, list[Error]]:
    """Return the new definition and its errors, with field names like `source.config.port`.

    With `patch`, source, destination and streams of the same name are merged into their previous values. Without `patch`, only stored
    secrets are kept. If there are errors, the definition is incomplete and must not be used.
    """
    builder = _Builder(connectors, previous, patch=patch)
    builder.errors += schemas.unknown_fields(
        request.keys() - {MOVED_TOP_LEVEL_FIELD}, TOP_LEVEL_FIELDS
    )
    builder.read_source(request)
    builder.read_side("destination", request)
    builder.read_snapshot(request)
    builder.read_on_failure(request)
    if not builder.errors:
        builder.errors += _complete_and_check_streams(builder.document, connectors.kinds)
    return builder.definition(), builder.errors


def build_source(
    request: RequestDocument, *, connectors: Connectors
) -> tuple[Definition, list[Error]]:
    """Return a definition for a preview. It has no destination; only the source and the streams are validated."""
    builder = _Builder(connectors, None, patch=False)
    builder.read_source(request)
    return builder.definition(), builder.errors


def replace_transforms(
    definition: Definition, stream: StreamDocument, transforms: Any, path: str
) -> tuple[Definition, list[Error]]:
    """Return the definition with only this stream and other transforms, and errors whose field names start with `path`."""
    new_transforms, errors = build_transforms(transforms, path)
    return definition.with_streams([{**stream, "transforms": new_transforms}]), errors


def replace_fields(
    definition: Definition, stream: StreamDocument, fields: Any, path: str
) -> tuple[Definition, list[Error]]:
    """Return the definition with only this stream and other rules for its fields, and errors like `replace_transforms`."""
    new_fields, errors = build_fields(fields, path)
    errors = errors or key_errors(
        new_fields, path, primary_key=stream["primary_key"], cursor_field=stream["cursor_field"]
    )
    changed: StreamDocument = {**stream}
    changed.pop("fields", None)
    if new_fields:
        changed["fields"] = new_fields
    return definition.with_streams([changed]), errors


class _Builder:
    """Converts the parts of a request's document to stored form, and collects the errors."""

    def __init__(self, connectors: Connectors, previous: Definition | None, *, patch: bool) -> None:
        self.connectors, self.previous, self.patch = connectors, previous, patch
        self.document: dict[str, Any] = {}
        self.secrets: dict[str, Any] = {}
        self.errors: list[Error] = []

    def read_source(self, request: RequestDocument) -> None:
        self.errors += _moved_field_errors(request)
        source = self.read_side("source", request)
        has_patterns = self._read_patterns(request)
        previous = self.previous.streams if self.previous else []
        builder = StreamsBuilder(
            source.streams,
            previous,
            naming=Naming(self.document.get("naming"), self.document["source"].get("kind") or ""),
            may_be_empty=has_patterns,
            patch=self.patch,
        )
        keeps_streams = previous and self.patch and STREAMS not in request
        self.document[STREAMS] = builder.build(previous if keeps_streams else request.get(STREAMS))
        self.errors += builder.errors

    def _read_patterns(self, request: RequestDocument) -> bool:
        """Read the naming rule, the patterns and what happens to new streams. All are optional.

        Returns whether there are patterns, valid or not.
        """
        if (naming := self._optional("naming", request)) is not None:
            self.document["naming"] = naming
            if problem := naming_problem(naming):
                self.errors.append(("naming", problem, "invalid"))
                del self.document["naming"]
        if (patterns := self._optional(PATTERNS, request)) is not None:
            builder = PatternsBuilder(
                self.previous.patterns if self.previous else None, patch=self.patch
            )
            if (stored := builder.build(patterns)) is not None:
                self.document[PATTERNS] = stored
            self.errors += builder.errors
        is_sent = "new_streams" in request
        if is_sent or patterns is not None:
            new_streams = self._optional("new_streams", request)
            error = new_streams_error(new_streams, has_patterns=patterns is not None)
            if error is not None:
                self.errors.append(error)
            elif new_streams is not None:
                self.document["new_streams"] = new_streams
        return patterns is not None

    def _optional(self, name: str, request: RequestDocument) -> Any:
        """Return an optional part. An empty text removes it like null; a patch without it keeps the previous one."""
        if name in request or not self.patch or self.previous is None:
            value = request.get(name)
            return None if value == "" else value
        return self.previous.document.get(name)

    def read_side(self, name: SideName, request: RequestDocument) -> Side:
        side = Side(name, self.previous, patch=self.patch)
        part = request.get(name)
        if isinstance(part, Mapping):
            part = {
                field: value
                for field, value in part.items()
                if field not in MOVED_SIDE_FIELDS[name]
            }
        self.document[name], plain_secrets = side.build(part, self.connectors)
        self.secrets |= {
            join_path(name, "config", path): value for path, value in plain_secrets.items()
        }
        self.errors += side.errors
        return side

    def read_snapshot(self, request: RequestDocument) -> None:
        previous = self.previous.snapshot if self.previous and self.patch else DEFAULT_SNAPSHOT
        snapshot, errors = build_snapshot(request.get(SNAPSHOT), previous)
        self.errors += errors
        if snapshot != DEFAULT_SNAPSHOT:
            self.document[SNAPSHOT] = snapshot

    def read_on_failure(self, request: RequestDocument) -> None:
        choice = self._optional(ON_FAILURE, request)
        if choice is not None and choice not in ON_FAILURE_CHOICES:
            message = f"Must be one of {', '.join(ON_FAILURE_CHOICES)}."
            self.errors.append((ON_FAILURE, message, "choice"))
        elif choice == "stop":
            self.document[ON_FAILURE] = choice

    def definition(self) -> Definition:
        return Definition(cast(Document, self.document), self.secrets)


def _moved_field_errors(request: RequestDocument) -> list[Error]:
    """Return an error for each field at a path that only older releases accept."""
    moved_fields = [
        (join_path(side, name), name)
        for side in SIDES
        for name in MOVED_SIDE_FIELDS[side]
        if isinstance(part := request.get(side), Mapping) and name in part
    ]
    if MOVED_TOP_LEVEL_FIELD in request:
        moved_fields.append((MOVED_TOP_LEVEL_FIELD, MOVED_TOP_LEVEL_FIELD))
    return [
        (old_path, f"This field has moved to {STREAMS}.0.{name}.", "moved")
        for old_path, name in moved_fields
    ]


def _complete_and_check_streams(document: dict[str, Any], kinds: Kinds) -> list[Error]:
    """Fill in the default write modes, and return the errors of settings that do not fit the source or destination."""
    source_kind = kinds.find("source", document["source"]["kind"])
    destination_kind = kinds.find("destination", document["destination"]["kind"])
    if source_kind is None or destination_kind is None:
        raise LookupError("both kinds were found before")
    errors = [
        (join_path(SNAPSHOT, name), message, code)
        for name, message, code in snapshot_errors(document, source_kind)
    ]
    for number, stream in enumerate(document[STREAMS]):
        complete(cast(StreamDocument, stream), destination_kind)
        errors += [
            (f"{STREAMS}.{number}.{name}", message, code)
            for name, message, code in (
                *_reading_errors(stream, source_kind),
                *_writing_errors(stream, destination_kind),
            )
        ]
    if PATTERNS in document:
        errors += [
            (f"{PATTERNS}.{name}", message, code)
            for name, message, code in _pattern_errors(
                document[PATTERNS], source_kind, destination_kind
            )
        ]
    return errors


def complete(stream: StreamDocument, destination_kind: Kind) -> None:
    """Fill in the default write mode of a stream that has none."""
    if stream["write_mode"] is None:
        stream["write_mode"] = cast(WriteMode, _default_write_mode(stream, destination_kind))


def _pattern_errors(
    patterns: dict[str, Any], source_kind: Kind, destination_kind: Kind
) -> list[Error]:
    """Return the errors of settings that fit no stream. The primary key of each stream is known at a run only."""
    example = {**patterns, "stream": "", "primary_key": ["any"]}
    complete(cast(StreamDocument, example), destination_kind)
    return [*_reading_errors(example, source_kind), *_writing_errors(example, destination_kind)]


def _reading_errors(stream: Mapping[str, Any], source_kind: Kind) -> list[Error]:
    modes = source_kind.sync_modes(stream["stream"])
    is_incremental = stream["sync_mode"] == "incremental"
    if stream["sync_mode"] not in modes:
        message = f"This stream only supports {' or '.join(modes)}."
        return [("sync_mode", message, "unsupported")]
    if is_incremental and not stream["cursor_field"] and source_kind.needs_cursor:
        message = "An incremental sync of this source needs a cursor field."
        return [("cursor_field", message, "required")]
    return []


def _writing_errors(stream: Mapping[str, Any], destination_kind: Kind) -> list[Error]:
    mode = stream["write_mode"]
    if mode not in destination_kind.write_modes:
        message = (
            f"{destination_kind.title} only supports {' or '.join(destination_kind.write_modes)}."
        )
        return [("write_mode", message, "unsupported")]
    if mode == "merge" and not stream["primary_key"]:
        message = "Merging needs a primary key to decide which record replaces another."
        return [("primary_key", message, "required")]
    if mode == "replace" and stream["sync_mode"] == "incremental":
        message = (
            "An incremental sync must append or merge; replacing would delete the old records."
        )
        return [("write_mode", message, "unsupported")]
    return []


def _default_write_mode(stream: Mapping[str, Any], destination_kind: Kind) -> str:
    if stream["sync_mode"] == "full_refresh":
        return (
            "replace"
            if "replace" in destination_kind.write_modes
            else destination_kind.write_modes[0]
        )
    return (
        "merge" if stream["primary_key"] and "merge" in destination_kind.write_modes else "append"
    )
