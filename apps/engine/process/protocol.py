"""The line protocol between a child process and the supervisor: one JSON object with a version per line.

The child sends lines such as {"v":1,"type":"progress","read":...}. The supervisor sends one line with a JSON document. A
child that sends "ready" after its result takes another one, and ends at the end of file. The reader validates every line. It raises `ProtocolError` for a line that is too long, another version,
or an unknown shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from types import NoneType
from typing import Any

import orjson

from apps.engine.contract import (
    Event,
    Failed,
    FileMoved,
    FilesWithdrawn,
    LogLine,
    Network,
    OutputFile,
    Progress,
    Started,
    Succeeded,
    Working,
)
from apps.engine.failures import EngineError, FailureClass
from apps.engine.process.pipes import LineSplitter
from apps.engine.source_columns import SourceColumns

VERSION = 1
MAX_LINE_BYTES = 4 * 1024 * 1024  # bytes, without the newline
MAX_DECIMAL_BITS = (
    10_000  # bits; Python cannot convert integers of more than 4,300 digits to decimal text
)


class ProtocolError(EngineError):
    """The child process sent a line that does not follow the line protocol."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a called function (check, discover, preview)."""

    value: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ready:
    """The child has sent its result, and can run another stream."""


Message = Event | Working | Result | Ready

_TYPE_NAMES: dict[type, str] = {
    Started: "started",
    Progress: "progress",
    LogLine: "log",
    Network: "network",
    SourceColumns: "columns",
    OutputFile: "output",
    FilesWithdrawn: "withdrawn",
    FileMoved: "moved",
    Working: "working",
    Succeeded: "succeeded",
    Failed: "failed",
    Result: "result",
    Ready: "ready",
}

Shape = Mapping[str, tuple[type, ...]]
_INT, _STR, _MAP = (int,), (str,), (dict,)
_COUNTS: Shape = {"read": _INT, "written": _INT, "rejected": _INT, "skipped": _INT, "bytes": _INT}
_SHAPES: dict[str, tuple[Callable[..., Message], Shape]] = {
    "started": (Started, {"pid": _INT}),
    "progress": (Progress, {**_COUNTS, "iterations": _INT, "total": (int, NoneType)}),
    "log": (LogLine, {"at": _STR, "level": _STR, "message": _STR, "fields": _MAP}),
    "network": (Network, {"hosts": (list,)}),
    "columns": (
        SourceColumns,
        {
            "columns": _MAP,
            "key": (list, NoneType),
            "is_complete": (bool,),
            "left_out": (list,),
            "is_missing": (bool,),
        },
    ),
    "output": (
        OutputFile,
        {"name": _STR, "key": _STR, "bytes": _INT, "rows": _INT, "media_type": _STR},
    ),
    "working": (Working, {"doing": _STR, "seconds": (int, float)}),
    "withdrawn": (FilesWithdrawn, {"prefix": _STR}),
    "moved": (FileMoved, {"key": _STR, "new_key": _STR, "bytes": _INT}),
    "succeeded": (
        Succeeded,
        {
            **_COUNTS,
            "cursor_before": (dict, NoneType),
            "cursor_after": (dict, NoneType),
            "snapshot_at": (str, NoneType),
        },
    ),
    "failed": (
        Failed,
        {
            "failure_class": _STR,
            "message": _STR,
            "evidence": (list,),
            "retryable": (bool,),
            "retry_after": (int, float, NoneType),
        },
    ),
    "result": (Result, {"value": _MAP}),
    "ready": (Ready, {}),
}
_LEVELS = {"debug", "info", "warning", "error"}
_FAILURE_CLASSES = {member.value for member in FailureClass}


def encode(message: Message) -> bytes:
    """Encode a message as one line with its newline. Raises `ProtocolError` if it is longer than MAX_LINE_BYTES."""
    header = {"v": VERSION, "type": _TYPE_NAMES[type(message)]}
    body = {field.name: getattr(message, field.name) for field in fields(message)}
    try:
        line = orjson.dumps({**header, **body}, option=orjson.OPT_NON_STR_KEYS, default=str)
    except (TypeError, orjson.JSONEncodeError):
        safe = _json_safe({**header, **asdict(message)})
        line = orjson.dumps(safe, option=orjson.OPT_NON_STR_KEYS, default=str)
    if len(line) > MAX_LINE_BYTES:
        raise ProtocolError(
            f"A message of {len(line)} bytes is longer than {MAX_LINE_BYTES} bytes."
        )
    return line + b"\n"


def decode(line: bytes) -> Message:
    """Decode one line without its newline. Raises `ProtocolError`."""
    try:
        body = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise _protocol_error("not JSON", line) from error
    if not isinstance(body, dict):
        raise _protocol_error("not an object", line)
    if body.pop("v", None) != VERSION:
        raise _protocol_error("another protocol version", line)
    kind = body.pop("type", None)
    if not isinstance(kind, str) or kind not in _SHAPES:
        raise _protocol_error("unknown type", line)
    message_class, shape = _SHAPES[kind]
    _check_shape(body, shape, line)
    return message_class(**_checked_fields(kind, body, line))


class LineReader:
    """Splits the output of a child into lines of at most `limit` bytes."""

    def __init__(self, limit: int = MAX_LINE_BYTES) -> None:
        problem = f"a line longer than {limit} bytes"
        self._lines = LineSplitter(limit, lambda line: _protocol_error(problem, line))

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add data and return the lines that are now complete, without empty lines.

        Raises `ProtocolError` if a line is too long.
        """
        return filter(None, self._lines.feed(data))


def _check_shape(body: Mapping[str, Any], shape: Shape, line: bytes) -> None:
    if body.keys() != shape.keys():
        raise _protocol_error("missing or unknown fields", line)
    for name, types in shape.items():
        value = body[name]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise _protocol_error(f"field {name} has a wrong type", line)


def _checked_fields(kind: str, body: dict[str, Any], line: bytes) -> dict[str, Any]:
    if kind == "log" and body["level"] not in _LEVELS:
        raise _protocol_error("unknown log level", line)
    if kind == "columns":
        _require_texts([*body["columns"].values(), *(body["key"] or ()), *body["left_out"]], line)
    if kind != "failed":
        return body
    _require_texts(body["evidence"], line)
    if body["failure_class"] not in _FAILURE_CLASSES:
        raise _protocol_error("unknown failure class", line)
    return {
        **body,
        "failure_class": FailureClass(body["failure_class"]),
        "evidence": tuple(body["evidence"]),
    }


def _require_texts(items: list[Any], line: bytes) -> None:
    if not all(isinstance(item, str) for item in items):
        raise _protocol_error("an item of a list is not text", line)


def _protocol_error(problem: str, line: bytes) -> ProtocolError:
    return ProtocolError(
        f"The child process broke the line protocol: {problem}.", evidence=(repr(line[:200]),)
    )


def _json_safe(value: Any) -> Any:
    """Convert what orjson cannot encode: invalid Unicode, and integers that are too large."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_json_safe(str(key)): _json_safe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_safe(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 63:
        return str(value) if value.bit_length() < MAX_DECIMAL_BITS else hex(value)
    return value
