"""Validate the streams of a pipeline, and convert them to their stored form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from apps.connectors import schemas
from apps.connectors.schemas import Error, join_path
from apps.engine.contract import Contract, SyncMode, WriteMode
from apps.pipelines.definition.document import (
    FieldsDocument,
    RequestDocument,
    StreamDocument,
    TransformDocument,
)
from apps.pipelines.definition.fields import build_fields, key_errors
from apps.pipelines.definition.names import (
    MAX_TABLE_BYTES,
    RESERVED_PREFIX,
    default_table,
    default_table_before_schemas,
    is_valid_table,
    table_of,
    with_digest,
)

STREAMS = "streams"  # the path of the list of streams
MAX_STREAMS = 2000  # streams of one pipeline
MAX_STREAM_LENGTH = 200  # characters of a stream's name
FIELDS = tuple(StreamDocument.__annotations__)
SYNC_MODES: tuple[str, ...] = get_args(SyncMode)
WRITE_MODES: tuple[str, ...] = get_args(WriteMode)
CONTRACTS: tuple[str, ...] = get_args(Contract)
MAX_CODE_LENGTH = 100_000  # characters of a transform
MAX_KEY_COLUMNS = 32  # columns of a primary key, as in PostgreSQL


@dataclass(frozen=True, slots=True)
class Naming:
    """The naming rule of a pipeline, and the kind of its source. Without a rule, streams have their default tables."""

    rule: str | None = None
    kind: str = ""


class StreamsBuilder:
    """Validates the list of streams of a document, converts it to its stored form, and collects its errors.

    `known_streams` are the names of the source's streams, if they are known. With `patch`, missing fields of a stream
    keep the values of the stream with the same name in `previous`. The list `may_be_empty` if there are patterns.
    """

    def __init__(
        self,
        known_streams: Sequence[str],
        previous: Sequence[StreamDocument] = (),
        *,
        naming: Naming | None = None,
        may_be_empty: bool = False,
        patch: bool = False,
    ) -> None:
        self.errors: list[Error] = []
        self._known_streams = known_streams
        self._previous = {stream["stream"]: stream for stream in previous}
        self._naming = naming or Naming()
        self._may_be_empty = may_be_empty
        self._patch = patch

    def build(self, streams: Any) -> list[dict[str, Any]]:
        """Return the stored streams, or an empty list if the list of streams is invalid.

        A missing write mode remains None, because its default depends on the destination.
        """
        request_streams = self._read_list(streams)
        built = [
            self._build_stream(values, f"{STREAMS}.{number}")
            for number, values in enumerate(request_streams)
        ]
        self._require_different_names(built)
        if self._naming.rule is None:
            self._make_default_tables_unique(built, request_streams)
        return built

    def _read_list(self, streams: Any) -> list[RequestDocument]:
        """Return the elements of the list, or an empty list if it is invalid."""
        if self._may_be_empty and streams in (None, []):
            return []
        error = _list_error(streams)
        if error is None:
            return list(streams)
        self.errors.append(error)
        return []

    def _build_stream(self, request_stream: RequestDocument, path: str) -> dict[str, Any]:
        previous = self._previous_of(request_stream)
        builder = StreamBuilder(
            path,
            self._known_streams,
            previous,
            naming=self._naming,
            patch=self._patch,
            gives_hints=len(self.errors) < schemas.MAX_HINTS,
        )
        stream = builder.build(request_stream)
        self.errors += builder.errors
        return stream

    def _previous_of(self, request_stream: RequestDocument) -> StreamDocument | None:
        """Return the stream before the change. An element without a name can only mean the only stream."""
        name = request_stream.get("stream")
        if name is None and self._patch and len(self._previous) == 1:
            return next(iter(self._previous.values()))
        return self._previous.get(name) if isinstance(name, str) else None

    def _require_different_names(self, built: list[dict[str, Any]]) -> None:
        names = [stream["stream"] for stream in built]
        for number, name in enumerate(names):
            if name and name in names[:number]:
                message = "The list contains this stream twice; each stream can be read once."
                self.errors.append((f"{STREAMS}.{number}.stream", message, "duplicate"))

    def _make_default_tables_unique(
        self, built: list[dict[str, Any]], request_streams: Sequence[RequestDocument]
    ) -> None:
        """Add a digest to default tables whose name another stream has, such as `a_b` of the streams `a.b` and `a_b`.

        A stream that has its table already keeps it.
        """
        uses = Counter(stream["table"].casefold() for stream in built)
        for stream, values in zip(built, request_streams, strict=True):
            name, table = stream["stream"], stream["table"]
            previous = self._previous.get(name)
            is_default = not values.get("table") and table == default_table(name)
            is_new = previous is None or previous["table"] != table
            if is_default and is_new and uses[table.casefold()] > 1:
                stream["table"] = with_digest(table, name)


def _list_error(streams: Any) -> Error | None:
    if streams is None:
        return (STREAMS, "This field is required, unless there are patterns.", "required")
    if not isinstance(streams, list):
        return (STREAMS, "Must be a list of streams.", "type")
    if not streams:
        message = "A pipeline needs a stream: name the streams to read, or set patterns."
        return (STREAMS, message, "required")
    if len(streams) > MAX_STREAMS:
        return (STREAMS, f"A pipeline has at most {MAX_STREAMS:,} streams.", "max_length")
    for number, stream in enumerate(streams):
        if not isinstance(stream, Mapping):
            return (f"{STREAMS}.{number}", "Must be an object.", "type")
    return None


class StreamBuilder:
    """Validates one stream, converts it to its stored form, and collects its errors.

    With `patch`, missing fields keep the values of `previous`, which has the same name. The error of an unknown stream
    names known ones only if it `gives_hints`.
    """

    def __init__(
        self,
        path: str,
        known_streams: Sequence[str],
        previous: StreamDocument | None,
        *,
        naming: Naming | None = None,
        patch: bool,
        gives_hints: bool = True,
    ) -> None:
        self.path = path
        self.known_streams = known_streams
        self.previous = previous
        self.naming = naming or Naming()
        self.patch = patch
        self.gives_hints = gives_hints
        self.errors: list[Error] = []

    def add_error(self, name: str, message: str, code: str) -> None:
        self.errors.append((join_path(self.path, name), message, code))

    def build(self, request_stream: RequestDocument) -> dict[str, Any]:
        """Return the stored stream. A missing write mode remains None."""
        self.errors += schemas.unknown_fields(request_stream, FIELDS, self.path)
        values = (
            {**self.previous, **request_stream} if self.previous and self.patch else request_stream
        )
        transforms, errors = build_transforms(values.get("transforms"), f"{self.path}.transforms")
        self.errors += errors
        name = self._parse_name(values.get("stream"))
        modes = self.build_modes(values)
        primary_key = self._parse_primary_key(values.get("primary_key"))
        return {
            "stream": name,
            "table": self._parse_table(values.get("table")) or self._default_table(name),
            **modes,
            "primary_key": primary_key,
            "transforms": transforms,
            **self.build_limits(values),
            **self.build_fields(values, primary_key, modes["cursor_field"]),
            **self.build_contract(values),
        }

    def build_modes(self, values: RequestDocument) -> dict[str, str | None]:
        """Return how the stream is read and written. A missing write mode remains None."""
        return {
            "sync_mode": self._parse_choice(values, "sync_mode", SYNC_MODES, SYNC_MODES[0]),
            "cursor_field": self._parse_column(values.get("cursor_field"), "cursor_field"),
            "write_mode": self._parse_choice(values, "write_mode", WRITE_MODES, None),
        }

    def _parse_name(self, name: Any) -> str:
        if not isinstance(name, str) or not name.strip():
            self.add_error("stream", "This field is required.", "required")
            return ""
        if len(name) > MAX_STREAM_LENGTH:
            self.add_error("stream", f"At most {MAX_STREAM_LENGTH} characters.", "max_length")
        if self.known_streams and name not in self.known_streams:
            hint = f"; {schemas.hint(name, self.known_streams)}" if self.gives_hints else "."
            self.add_error("stream", f"This source has no such stream{hint}", "unknown")
        return name

    def _parse_choice(
        self, values: RequestDocument, name: str, choices: tuple[str, ...], default: str | None
    ) -> str | None:
        value = values.get(name)
        if value is None:
            return default
        if value not in choices:
            self.add_error(name, f"Must be one of {', '.join(choices)}.", "choice")
            return default
        return str(value)

    def _parse_column(self, value: Any, name: str) -> str | None:
        if value in (None, ""):
            return None
        if not isinstance(value, str) or len(value) > 200:
            self.add_error(name, "Must be the name of a field, at most 200 characters.", "type")
            return None
        return value

    def _parse_primary_key(self, value: Any) -> list[str]:
        if value is None:
            return []
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list) or len(value) > MAX_KEY_COLUMNS:
            self.add_error(
                "primary_key", f"Must be a list of at most {MAX_KEY_COLUMNS} fields.", "type"
            )
            return []
        columns = [self._parse_column(name, f"primary_key.{n}") for n, name in enumerate(value)]
        if None in columns or len(set(columns)) < len(columns):
            self.add_error(
                "primary_key", "Each field must be listed once, and none may be empty.", "invalid"
            )
        return [name for name in columns if name]

    def build_limits(self, values: RequestDocument) -> dict[str, bool | float]:
        """Return the limits that differ from their defaults."""
        allow_empty, share = values.get("allow_empty"), values.get("max_rejected_share")
        if not isinstance(allow_empty, bool | None):
            self.add_error("allow_empty", "Must be true or false.", "type")
        is_number = isinstance(share, int | float | None) and not isinstance(share, bool)
        if not is_number or not 0 <= (share or 0) <= 1:  # type: ignore[operator]
            message = "Must be a share from 0 to 1, such as 0.01 for one percent."
            self.add_error("max_rejected_share", message, "invalid")
        limits = {"allow_empty": allow_empty, "max_rejected_share": share}
        return {name: value for name, value in limits.items() if value}  # type: ignore[misc]

    def build_fields(
        self, values: RequestDocument, primary_key: Sequence[str], cursor_field: str | None
    ) -> dict[str, FieldsDocument]:
        """Return the rules for the fields, if they change something."""
        path = f"{self.path}.fields"
        fields, errors = build_fields(values.get("fields"), path)
        self.errors += errors or key_errors(
            fields, path, primary_key=primary_key, cursor_field=cursor_field
        )
        return {"fields": fields} if fields else {}

    def build_contract(self, values: RequestDocument) -> dict[str, str]:
        """Return the contract, if it is not the default."""
        contract = self._parse_choice(values, "contract", CONTRACTS, None)
        return {"contract": contract} if contract not in (None, CONTRACTS[0]) else {}

    def _parse_table(self, value: Any) -> str | None:
        if value in (None, ""):
            return None
        is_previous = self.previous is not None and value == self.previous["table"]
        if not is_previous and not is_valid_table(value):
            message = (
                "Must be a name of letters, digits, _ and -, starting with a letter or _, with at most "
                f"{MAX_TABLE_BYTES} bytes (a letter such as é has 2); one dot may separate a schema from the table."
            )
            self.add_error("table", message, "invalid")
            return None
        if not is_previous and value.rpartition(".")[2].lower().startswith(RESERVED_PREFIX):
            self.add_error(
                "table", f"Names that begin with {RESERVED_PREFIX} are reserved.", "invalid"
            )
            return None
        return str(value)

    def _default_table(self, name: str) -> str:
        """Return the stream's default table. A stream that has another default table keeps it.

        This is the default table of an older release, or that of a stream which had to differ from another stream.
        """
        default = table_of(self.naming.kind, name, self.naming.rule)
        former = {default_table_before_schemas(name)}
        if self.naming.rule is None:
            former.add(with_digest(default, name))
        if self.previous and self.previous["table"] in former:
            return self.previous["table"]
        return default


def build_transforms(transforms: Any, path: str) -> tuple[list[TransformDocument], list[Error]]:
    """Return the stored transforms and their errors. Each field name starts with `path`."""
    if not isinstance(transforms, list | None):
        return [], [(path, "Must be a list.", "type")]
    if not transforms:
        return [], []
    if len(transforms) > 1:
        message = "A stream has at most one Python transform: combine the steps in one transform."
        return [], [(path, message, "max_length")]
    errors = _transform_errors(transforms[0], f"{path}.0")
    return ([] if errors else [{"kind": "python", "code": transforms[0]["code"]}]), errors


def _transform_errors(transform: Any, path: str) -> list[Error]:
    if not isinstance(transform, Mapping):
        return [(path, "Must be an object.", "type")]
    errors = schemas.unknown_fields(transform, tuple(TransformDocument.__annotations__), path)
    if transform.get("kind") != "python":
        errors.append((f"{path}.kind", "Must be python.", "choice"))
    code = transform.get("code")
    if not isinstance(code, str) or not code.strip():
        errors.append((f"{path}.code", "This field is required.", "required"))
    elif len(code) > MAX_CODE_LENGTH:
        errors.append((f"{path}.code", f"At most {MAX_CODE_LENGTH:,} characters.", "max_length"))
    return errors
