"""Call sources through their interface: bizon's `AbstractSource`, or `drover.Source`, which has the same methods.

This module runs in the sandbox, with objects that the user's code created.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import errno
import inspect
import json
import math
import sys
import types
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from drover import _numbers
from drover._failures import (
    ConfigurationError,
    ContractError,
    EgressRefused,
    SourceFailure,
    innermost_cause,
)
from drover._numbers import JsonNumber
from drover._paging.responses import limits_rate
from drover._source import Page, SettingValues, Source, StreamSettings
from drover._texts import exact_text

Json = dict[str, Any]
MAX_MESSAGE = 500  # characters
MAX_INTEGER_DIGITS = 4_000
EVIDENCE_LINES = 12  # lines
NETWORK_LIBRARIES = frozenset(
    {"httpcore", "httpx", "requests", "socket", "ssl", "urllib", "urllib3"}
)
# Errors of these libraries that are not failures of the connection. The same request would fail again.
REQUEST_ERRORS = frozenset(
    {
        "CookieConflict", "InvalidHeader", "InvalidJSONError", "InvalidProxyURL", "InvalidSchema", "InvalidURL",
        "LocalProtocolError", "LocationParseError", "MissingSchema", "StreamClosed", "StreamConsumed",
        "StreamConsumedError", "TooManyRedirects", "UnsupportedProtocol",
    }
)  # fmt: skip
UNREADABLE_RESPONSE_ERRORS = frozenset({"ContentDecodingError", "DecodingError", "JSONDecodeError"})
UNREACHABLE_ERRNOS = frozenset(
    {errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH}
)


def find_source_class(module: types.ModuleType) -> type[Any]:
    """Return the only source class of the module. Raises ConfigurationError if it has none or several."""
    bases: tuple[type[Any], ...] = (Source, *_bizon_bases())
    candidates = [
        item
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, bases) and item.__module__ == module.__name__
    ]
    source_classes = [
        candidate
        for candidate in candidates
        if not any(candidate in other.__mro__[1:] for other in candidates)
    ]
    if len(source_classes) != 1:
        names = ", ".join(candidate.__name__ for candidate in source_classes) or "none"
        raise ConfigurationError(
            f"A custom source must have exactly one source class; found {names}."
        )
    return source_classes[0]


def list_streams(source_class: type[Any]) -> list[Json]:
    """Return the name, sync modes, primary key and cursor field of each stream."""
    return [
        {
            "name": stream.name,
            "sync_modes": list(stream.sync_modes),
            "primary_key": list(stream.primary_key),
            "cursor_field": stream.cursor_field,
        }
        for stream in _declared_streams(source_class)
    ]


def create_source(
    source_class: type[Any], *, config: Json, stream: str, sync_mode: str, cursor: str
) -> Any:
    """Create the source for one stream, with the same arguments as bizon."""
    if issubclass(source_class, Source):
        settings = _create_settings(source_class, config)
        return source_class(settings, StreamSettings(stream or "", sync_mode, cursor))
    values = {**config, "name": "custom", "stream": stream, "sync_mode": sync_mode}
    return source_class(source_class.get_config_class()(**values, cursor_field=cursor))


def check_connection(source: Any) -> tuple[bool, str]:
    result = source.check_connection()
    is_ok, message = result if isinstance(result, tuple) and len(result) == 2 else (result, None)
    default = "The source is reachable." if is_ok else "The source reports that it cannot connect."
    return bool(is_ok), str(message or default)[:MAX_MESSAGE]


def get_page(source: Any, pagination: Json | None, since: Json | None) -> Page:
    """Return the page at `pagination`. With `since`, return only records newer than this state."""
    if since is None:
        result = source.get(pagination or None)
    else:
        result = source.get_records_after(_incremental_state(source, since), pagination or None)
    return _to_page(result)


def find_transform(module: types.ModuleType) -> Callable[[Json], Any]:
    """Return the function `transform(record)` of the module. Raises ConfigurationError if it has none."""
    function = getattr(module, "transform", None)
    if not callable(function):
        raise ConfigurationError("A transform must define a function transform(record).")
    return function  # type: ignore[no-any-return]


def transform_rows(
    function: Callable[[Json], Any], rows: Iterable[Json], skipped: list[int]
) -> Iterator[Any]:
    """Yield the records that the function returns for each row: one, several, or none if it returns None.

    The indexes of the rows for which it returns none are added to `skipped`.
    """
    for index, row in enumerate(rows):
        try:
            count = 0
            for record in _result_records(function(row)):
                count += 1
                yield record
            if not count:
                skipped.append(index)
        except Exception as error:
            error.add_note(f"with the record {repr(row)[:MAX_MESSAGE]}")
            raise


def _result_records(result: Any) -> Iterable[Any]:
    if isinstance(result, Mapping):
        return (result,)
    if result is None:
        return ()
    if isinstance(result, list | tuple | types.GeneratorType):
        return result
    message = (
        f"transform must return a record, a list of records or None, not {type(result).__name__}."
    )
    raise ContractError(message)


def record_dict(row: Any) -> Any:
    """Return the record as a dict. A `SourceRecord` of bizon has the dict as `data`."""
    if type(row) is dict:
        return row
    data = getattr(row, "data", row)
    if not isinstance(data, Mapping):
        raise ContractError(f"A record must be a dict, not {type(row).__name__}.")
    return dict(data)


def to_json_value(value: Any) -> Any:
    """Convert a value that JSON cannot represent. orjson calls this function."""
    if isinstance(value, JsonNumber):  # in a token or a state
        return float(value) if math.isfinite(value) else value.text
    if isinstance(value, decimal.Decimal | uuid.UUID | complex):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview | datetime.timedelta | datetime.time):
        return exact_text(value)
    if isinstance(value, set | frozenset | tuple | types.GeneratorType):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, enum.Enum):
        return value.value
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    raise ContractError(f"A {type(value).__name__} cannot be part of a record.")


class RowEncoder:
    """Converts values of rows for orjson, and counts the numbers that it writes as fragments of JSON."""

    def __init__(self) -> None:
        self.fragments = 0

    def to_json_value(self, value: Any) -> Any:
        """Convert a value that orjson does not know. orjson calls this function."""
        if isinstance(value, JsonNumber):
            return self._fragment(value.text)
        converted = to_json_value(value)
        return self.to_exact_json(converted) if _numbers.has_non_finite(converted) else converted

    def to_exact_json(self, value: Any) -> Any:
        """Convert what orjson cannot encode or would change. Python's parser of JSON reads the same value.

        This includes NaN, infinities and lone surrogates, about which the schema of the stream decides.
        """
        if isinstance(value, str):
            return value if _is_valid_unicode(value) else self._fragment(json.dumps(value))
        if isinstance(value, float) and not isinstance(value, JsonNumber):
            return value if math.isfinite(value) else self._fragment(json.dumps(float(value)))
        if isinstance(value, Mapping):
            return self._exact_object({_key_text(key): item for key, item in value.items()})
        if isinstance(value, list | tuple):
            return [self.to_exact_json(item) for item in value]
        if isinstance(value, enum.Enum):
            return self.to_exact_json(value.value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self.to_exact_json(vars(value))
        is_number = isinstance(value, JsonNumber | int) or value is None
        is_plain = is_number or isinstance(value, datetime.datetime | datetime.date | datetime.time)
        if is_plain:
            return to_json_safe(value, to_number=self._fragment)
        return self.to_exact_json(to_json_value(value))

    def _exact_object(self, value: Mapping[str, Any]) -> Any:
        members = {key: self.to_exact_json(item) for key, item in value.items()}
        if all(map(_is_valid_unicode, members)):
            return members
        texts = (
            f"{json.dumps(key)}:{orjson.dumps(item).decode()}" for key, item in members.items()
        )
        return self._fragment(f"{{{','.join(texts)}}}")

    def _fragment(self, text: str) -> orjson.Fragment:
        self.fragments += 1
        return orjson.Fragment(text)


def require_unicode(position: Any) -> None:
    """Raise ContractError if the position has a lone surrogate, with which the source would be asked for another page."""
    try:
        json.dumps(position, ensure_ascii=False, default=str, skipkeys=True).encode()
    except UnicodeEncodeError as error:
        raise ContractError(
            "The position of the next page has text that is not valid Unicode."
        ) from error


def _key_text(key: Any) -> str:
    """Return the name that orjson gives to the key of an object."""
    if type(key) is str:
        return key
    if key is None or isinstance(key, bool):
        return json.dumps(key)
    return _key_text(key.value) if isinstance(key, enum.Enum) else str(key)


def _is_valid_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def to_json_safe(value: Any, *, to_number: Callable[[str], Any] = str) -> Any:
    """Convert what orjson cannot encode: numbers that it would change become text, invalid Unicode is replaced.

    Use this for messages only. A record must arrive as it stands (`RowEncoder`).
    """
    if isinstance(value, JsonNumber):
        return to_number(value.text)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, bool | float) or value is None:
        return value
    if isinstance(value, int):
        return value if -(1 << 63) <= value < 1 << 64 else to_number(_integer_text(value))
    if isinstance(value, Mapping):
        return {
            to_json_safe(str(key), to_number=to_number): to_json_safe(item, to_number=to_number)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [to_json_safe(item, to_number=to_number) for item in value]
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    return to_json_safe(to_json_value(value), to_number=to_number)


def _integer_text(value: int) -> str:
    """Return the digits, also of integers of more than 4,300 digits, which `str` refuses to convert."""
    return (
        str(value) if abs(value) < 10**MAX_INTEGER_DIGITS else format(decimal.Decimal(value), "f")
    )


def describe_error(error: BaseException, user_code_trace: tuple[list[str], int | None]) -> Json:
    """Describe the error as the failure of a run: class, message, evidence, and when to retry."""
    lines, line_number = user_code_trace
    failure, message, evidence, retry_after, retryable = _failure_fields(error)
    return {
        "failure": failure,
        "message": message[:MAX_MESSAGE],
        "evidence": [line[:MAX_MESSAGE] for line in (*evidence, *lines, *_notes(error))][
            :EVIDENCE_LINES
        ],
        "retry_after": retry_after,
        "retryable": retryable,
        "line": line_number,
    }


def _notes(error: BaseException) -> Sequence[str]:
    return [str(note) for note in getattr(error, "__notes__", ())]


def _failure_fields(
    error: BaseException,
) -> tuple[str, str, Sequence[str], float | None, bool]:
    if isinstance(error, SourceFailure):
        return error.failure, str(error), error.evidence, error.retry_after, error.retryable
    if isinstance(error, MemoryError):
        return "memory", "The code needed more memory than allowed.", (), None, False
    failure = _response_failure(error)
    if failure is not None:
        return failure
    name = type(error).__name__
    text = " ".join(str(error).split())
    if _is_network_error(error):
        cause = innermost_cause(error) or error
        reason = " ".join(str(cause).split()).removeprefix("[Errno 111] ")
        if isinstance(cause, EgressRefused):
            return "configuration", f"The connection to {reason}.", (), None, False
        problem = (
            "sent a response that cannot be read"
            if name in UNREADABLE_RESPONSE_ERRORS
            else "could not be reached"
        )
        return "source", f"The source {problem}: {reason}", (f"{name}: {text}",), None, True
    return "source", f"The code raised {name}: {text}", (), None, False


def _is_network_error(error: BaseException) -> bool:
    """Whether the error is the failure of a connection. Other OSErrors concern files or processes."""
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if isinstance(error, OSError) and error.errno in UNREACHABLE_ERRNOS:
        return True
    library = type(error).__module__.partition(".")[0]
    return library in NETWORK_LIBRARIES and type(error).__name__ not in REQUEST_ERRORS


def _response_failure(
    error: BaseException,
) -> tuple[str, str, Sequence[str], float | None, bool] | None:
    """Return the failure for an error that has an HTTP response, or None for another error."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if not isinstance(status, int):
        return None
    evidence = [f"{status} {getattr(response, 'reason', '') or ''}".strip()]
    body = " ".join(str(getattr(response, "text", ""))[:300].split())
    evidence += [body] if body else []
    headers = getattr(response, "headers", {})
    retry_after = _parse_retry_after(headers.get("Retry-After"))
    if limits_rate(status, headers):
        return (
            "rate_limit",
            f"The source rate-limits requests ({status}).",
            evidence,
            retry_after,
            True,
        )
    if status in {401, 403, 407}:
        message = f"The source refused the credentials ({status})."
        return "authentication", message, evidence, None, False
    is_temporary = status >= 500 or status in {408, 425}
    return (
        "source",
        f"The source returned an error ({status}).",
        evidence,
        retry_after,
        is_temporary,
    )


def _parse_retry_after(header: Any) -> float | None:
    try:
        return max(0.0, min(float(header), 86_400.0))
    except (TypeError, ValueError):
        return None


def _bizon_bases() -> tuple[type[Any], ...]:
    bizon = sys.modules.get("bizon.source.source")
    return (bizon.AbstractSource,) if bizon is not None else ()


def _declared_streams(source_class: type[Any]) -> list[Any]:
    from drover._source import Stream

    if issubclass(source_class, Source):
        return source_class.declared_streams()
    records_after = inspect.getattr_static(source_class, "get_records_after", None)
    base_records_after = inspect.getattr_static(_bizon_bases()[0], "get_records_after", None)
    modes = (
        ("full_refresh", "incremental")
        if records_after is not base_records_after
        else ("full_refresh",)
    )
    return [Stream(str(name), sync_modes=modes) for name in source_class.streams()]


def _create_settings(source_class: type[Source], config: Json) -> Any:
    config_class = getattr(source_class, "Config", None)
    if config_class is not None and hasattr(config_class, "model_validate"):
        return config_class.model_validate(config)
    return SettingValues(config_class, config)


def _incremental_state(source: Any, since: Json) -> Any:
    if isinstance(source, Source):
        return since
    from bizon.source.models import SourceIncrementalState

    return SourceIncrementalState(**since)


def _to_page(result: Any) -> Page:
    if isinstance(result, Page):
        return result
    if isinstance(result, tuple) and len(result) == 2:
        rows, next_pagination = result
        return Page(rows, next_pagination)
    records = getattr(result, "records", None)
    if records is None:
        raise ContractError(f"get() must return a page, not {type(result).__name__}.")
    return Page(records, result.next_pagination, getattr(result, "next_state", None))
