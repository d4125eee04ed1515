"""The interface of sources: bizon's `AbstractSource`, or `drover.Source`, which has the same methods.

This module runs in the sandbox, on objects that the user's code created.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import errno
import inspect
import sys
import types
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from drover._failures import (
    ConfigurationError,
    ContractError,
    EgressRefused,
    SourceFailure,
    refusal,
)
from drover._source import Page, SettingValues, Source, StreamSettings

Json = dict[str, Any]
MESSAGE = 500  # characters
EVIDENCE = 12  # lines
OF_NETWORK = frozenset({"httpcore", "httpx", "requests", "socket", "ssl", "urllib", "urllib3"})
# Errors of these libraries that come back whenever the same request is sent: the connection itself did not fail.
NOT_OF_NETWORK = frozenset(
    {
        "CookieConflict", "InvalidHeader", "InvalidJSONError", "InvalidProxyURL", "InvalidSchema", "InvalidURL",
        "LocalProtocolError", "LocationParseError", "MissingSchema", "StreamClosed", "StreamConsumed",
        "StreamConsumedError", "TooManyRedirects", "UnsupportedProtocol",
    }
)  # fmt: skip
UNREADABLE_RESPONSE = frozenset({"ContentDecodingError", "DecodingError", "JSONDecodeError"})
UNREACHABLE = frozenset({errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH})


def source_class(module: types.ModuleType) -> type[Any]:
    """Return the module's only source class. Raises ConfigurationError."""
    bases: tuple[type[Any], ...] = (Source, *_bizon_base())
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, bases)
        and value.__module__ == module.__name__
    ]
    leaves = [one for one in found if not any(one in other.__mro__[1:] for other in found)]
    if len(leaves) != 1:
        names = ", ".join(one.__name__ for one in leaves) or "none"
        raise ConfigurationError(
            f"A custom source must have exactly one source class; found {names}."
        )
    return leaves[0]


def streams_of(made: type[Any]) -> list[Json]:
    """Return each stream's name, and its other declared properties."""
    return [
        {
            "name": stream.name,
            "sync_modes": list(stream.sync_modes),
            "primary_key": list(stream.primary_key),
            "cursor_field": stream.cursor_field,
        }
        for stream in _declared(made)
    ]


def instance(made: type[Any], *, config: Json, stream: str, sync_mode: str, cursor: str) -> Any:
    """Return the source bound to one stream, as bizon binds it."""
    if issubclass(made, Source):
        settings = _settings(made, config)
        return made(settings, StreamSettings(stream or "", sync_mode, cursor))
    values = {**config, "name": "custom", "stream": stream, "sync_mode": sync_mode}
    return made(made.get_config_class()(**values, cursor_field=cursor))


def checked(source: Any) -> tuple[bool, str]:
    answer = source.check_connection()
    ok, message = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, None)
    default = "The source is reachable." if ok else "The source reports that it cannot connect."
    return bool(ok), str(message or default)[:MESSAGE]


def page(source: Any, pagination: Json | None, since: Json | None) -> Page:
    """Return the page at `pagination`. With `since`, return only what came after that state."""
    if since is None:
        answer = source.get(pagination or None)
    else:
        answer = source.get_records_after(_state(source, since), pagination or None)
    return _paged(answer)


def transform_of(module: types.ModuleType) -> Callable[[Json], Any]:
    """Return the module's `transform(record)`. Raises ConfigurationError."""
    found = getattr(module, "transform", None)
    if not callable(found):
        raise ConfigurationError("A transform must define a function transform(record).")
    return found  # type: ignore[no-any-return]


def transformed(function: Callable[[Json], Any], rows: Iterable[Json]) -> Iterator[Any]:
    """Yield the results of the function for each record: one, several or, for None, nothing."""
    for row in rows:
        try:
            made = function(row)
            if isinstance(made, Mapping):
                yield made
            elif made is not None:
                yield from _several(made)
        except Exception as error:
            error.add_note(f"with the record {repr(row)[:MESSAGE]}")
            raise


def _several(made: Any) -> Iterable[Any]:
    if isinstance(made, list | tuple | types.GeneratorType):
        return made
    message = (
        f"transform must return a record, a list of records or None, not {type(made).__name__}."
    )
    raise ContractError(message)


def plain(row: Any) -> Any:
    """Return the record as a dict; of bizon's `SourceRecord`, its data."""
    if type(row) is dict:
        return row
    data = getattr(row, "data", row)
    if not isinstance(data, Mapping):
        raise ContractError(f"A record must be a dict, not {type(row).__name__}.")
    return dict(data)


def simple(value: Any) -> Any:
    """Convert a value that JSON cannot represent; called by orjson."""
    if isinstance(value, decimal.Decimal | uuid.UUID | datetime.timedelta | complex):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace")
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


def printable(value: Any) -> Any:
    """Replace what orjson refuses: integers over 64 bits and invalid Unicode become text."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, bool | float) or value is None:
        return value
    if isinstance(value, int):
        return value if -(1 << 63) <= value < 1 << 64 else str(value)
    if isinstance(value, Mapping):
        return {printable(str(key)): printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [printable(item) for item in value]
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    return printable(simple(value))


def explained(error: BaseException, trace: tuple[list[str], int | None]) -> Json:
    """Return the error as a run's failure: class, message, evidence, and when to retry."""
    lines, number = trace
    failure, message, evidence, wait, retry = _explained(error)
    return {
        "failure": failure,
        "message": message[:MESSAGE],
        "evidence": [line[:MESSAGE] for line in (*evidence, *lines, *_notes(error))][:EVIDENCE],
        "retry_after": wait,
        "retryable": retry,
        "line": number,
    }


def _notes(error: BaseException) -> Sequence[str]:
    return [str(note) for note in getattr(error, "__notes__", ())]


def _explained(
    error: BaseException,
) -> tuple[str, str, Sequence[str], float | None, bool]:
    if isinstance(error, SourceFailure):
        return error.failure, str(error), error.evidence, error.retry_after, error.retryable
    if isinstance(error, MemoryError):
        return "memory", "The code needed more memory than allowed.", (), None, False
    answered = _answered(error)
    if answered is not None:
        return answered
    name = type(error).__name__
    said = " ".join(str(error).split())
    if _is_of_network(error):
        inner = refusal(error) or error
        why = " ".join(str(inner).split()).removeprefix("[Errno 111] ")
        if isinstance(inner, EgressRefused):
            return "configuration", f"The connection to {why}.", (), None, False
        what = (
            "sent a response that cannot be read"
            if name in UNREADABLE_RESPONSE
            else "could not be reached"
        )
        return "source", f"The source {what}: {why}", (f"{name}: {said}",), None, True
    return "source", f"The code raised {name}: {said}", (), None, False


def _is_of_network(error: BaseException) -> bool:
    """Whether a connection failed. Other OSErrors, of files or processes, are the code's own."""
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if isinstance(error, OSError) and error.errno in UNREACHABLE:
        return True
    library = type(error).__module__.partition(".")[0]
    return library in OF_NETWORK and type(error).__name__ not in NOT_OF_NETWORK


def _answered(error: BaseException) -> tuple[str, str, Sequence[str], float | None, bool] | None:
    """Recognise an HTTP client's error that has a response."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if not isinstance(status, int):
        return None
    evidence = [f"{status} {getattr(response, 'reason', '') or ''}".strip()]
    body = " ".join(str(getattr(response, "text", ""))[:300].split())
    evidence += [body] if body else []
    wait = _seconds(getattr(response, "headers", {}).get("Retry-After"))
    if status in {401, 403, 407}:
        message = f"The source refused the credentials ({status})."
        return "authentication", message, evidence, None, False
    if status == 429:
        return "rate_limit", "The source rate-limits requests (429).", evidence, wait, True
    passes = status >= 500 or status in {408, 425}
    return "source", f"The source returned an error ({status}).", evidence, wait, passes


def _seconds(header: Any) -> float | None:
    try:
        return max(0.0, min(float(header), 86_400.0))
    except (TypeError, ValueError):
        return None


def _bizon_base() -> tuple[type[Any], ...]:
    bizon = sys.modules.get("bizon.source.source")
    return (bizon.AbstractSource,) if bizon is not None else ()


def _declared(made: type[Any]) -> list[Any]:
    from drover._source import Stream

    if issubclass(made, Source):
        return made.declared_streams()
    after = inspect.getattr_static(made, "get_records_after", None)
    base = inspect.getattr_static(_bizon_base()[0], "get_records_after", None)
    modes = ("full_refresh", "incremental") if after is not base else ("full_refresh",)
    return [Stream(str(name), sync_modes=modes) for name in made.streams()]


def _settings(made: type[Source], config: Json) -> Any:
    declared = getattr(made, "Config", None)
    if declared is not None and hasattr(declared, "model_validate"):
        return declared.model_validate(config)
    return SettingValues(declared, config)


def _state(source: Any, since: Json) -> Any:
    if isinstance(source, Source):
        return since
    from bizon.source.models import SourceIncrementalState

    return SourceIncrementalState(**since)


def _paged(answer: Any) -> Page:
    if isinstance(answer, Page):
        return answer
    if isinstance(answer, tuple) and len(answer) == 2:
        rows, following = answer
        return Page(rows, following)
    records = getattr(answer, "records", None)
    if records is None:
        raise ContractError(f"get() must return a page, not {type(answer).__name__}.")
    return Page(records, answer.next_pagination, getattr(answer, "next_state", None))
