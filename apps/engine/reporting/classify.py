"""Convert an exception to a failure that a user can understand: class, message and evidence.

Exceptions of libraries are recognised without importing the library. A library that was not imported raises nothing.
"""

from __future__ import annotations

import errno
import re
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from apps.egress.exceptions import EgressError
from apps.engine.contract import Failed
from apps.engine.failures import (
    LACKS_PERMISSION,
    NO_SUCH,
    EngineError,
    FailureClass,
    memory_message,
)
from apps.engine.reporting.redaction import Redactor

Side = Literal["source", "destination", "state"]

MAX_BODY = 300  # characters of a response that the evidence shows
MAX_MESSAGE = 500
EVIDENCE_LINES = 12

_PROGRAMMING_ERRORS = (
    TypeError,
    AttributeError,
    NameError,
    ImportError,
    NotImplementedError,
    AssertionError,
    LookupError,
    ZeroDivisionError,
    RecursionError,
)
_SIDE_CLASS = {
    "source": FailureClass.SOURCE,
    "destination": FailureClass.DESTINATION,
    "state": FailureClass.INTERNAL,
}
_DATA_NAME = {
    "source": "the source's data",
    "destination": "the data for the destination",
    "state": "this run",
}
_SIDE_NAME = {"source": "source", "destination": "destination", "state": "engine's state database"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known about the failure of a run."""

    failure_class: FailureClass
    message: str
    evidence: tuple[str, ...] = ()
    retryable: bool = True
    retry_after: float | None = None


def classify(error: BaseException, *, side: Side, redactor: Redactor) -> Failed:
    """Return the failure of a run that ended with this exception. `redactor` masks secrets in its texts."""
    finding = _first_finding(error, side)
    return Failed(
        failure_class=finding.failure_class,
        message=redactor.mask_text(finding.message)[:MAX_MESSAGE],
        evidence=tuple(
            redactor.mask_text(line)[:MAX_MESSAGE] for line in finding.evidence[:EVIDENCE_LINES]
        ),
        retryable=finding.retryable,
        retry_after=finding.retry_after,
    )


def _first_finding(error: BaseException, side: Side) -> Finding:
    for cause in _error_chain(error):
        for recognise in (
            _recognise_drover_error,
            _recognise_http_error,
            _recognise_postgres_error,
            _recognise_object_store_error,
            _recognise_system_error,
            _recognise_library_error,
        ):
            finding = recognise(cause, side)
            if finding is not None:
                return finding
    return _finding_of_unknown_error(error, side)


def _error_chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception, the exceptions it wraps, and the exceptions it was raised from."""
    seen_ids: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen_ids:
        seen_ids.add(id(current))
        yield current
        driver_error = getattr(current, "orig", None)  # set by SQLAlchemy
        if isinstance(driver_error, BaseException):
            yield driver_error
        current = current.__cause__ or (
            None if current.__suppress_context__ else current.__context__
        )


def _recognise_drover_error(error: BaseException, _side: Side) -> Finding | None:
    if isinstance(error, EgressError):
        return Finding(FailureClass.CONFIGURATION, error.message, error.evidence, error.retryable)
    if not isinstance(error, EngineError):
        return None
    return Finding(
        error.failure_class, error.message, error.evidence, error.retryable, error.retry_after
    )


# HTTP: requests, httpx, urllib3, google-api-core, botocore

INVALID_ADDRESS_ERRORS = frozenset(
    {"InvalidSchema", "InvalidURL", "LocationParseError", "MissingSchema", "UnsupportedProtocol"}
)
# Errors that are not failures of the connection. The same request would fail again.
NOT_RETRYABLE_ERRORS = frozenset(
    {
        "CookieConflict", "InvalidHeader", "InvalidJSONError", "InvalidProxyURL", "LocalProtocolError", "StreamClosed",
        "StreamConsumed", "StreamConsumedError", "TooManyRedirects",
    }
)  # fmt: skip
# These errors are retried, because the response may be incomplete or the page of a server under maintenance.
UNREADABLE_RESPONSE_ERRORS = frozenset({"ContentDecodingError", "DecodingError", "JSONDecodeError"})


def _recognise_http_error(error: BaseException, side: Side) -> Finding | None:
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        return _finding_of_botocore(response, side)
    status = getattr(response, "status_code", None)
    if isinstance(status, int):
        return _finding_of_response(response, status, side)
    module = type(error).__module__.partition(".")[0]
    code = getattr(error, "code", None)
    if module == "google" and isinstance(code, int):
        return replace(
            _finding_of_status(code, side), evidence=(f"{code} {str(error)[:MAX_BODY]}",)
        )
    if module in {"requests", "httpx", "httpcore", "urllib3"}:
        return _finding_without_response(error, side)
    return None


def _finding_of_response(response: Any, status: int, side: Side) -> Finding:
    request = getattr(response, "request", None)
    url = _remove_query(str(getattr(request, "url", "") or getattr(response, "url", "")))
    method = getattr(request, "method", "") or ""
    reason = getattr(response, "reason", None) or getattr(response, "reason_phrase", "")
    body = " ".join(_response_text(response).split())[:MAX_BODY]
    evidence = [f"{method} {url}".strip(), f"{status} {reason}".strip()]
    retry_seconds = parse_retry_after(response.headers.get("Retry-After"))
    if retry_seconds is not None:
        evidence.append(f"Retry-After: {response.headers['Retry-After']}")
    if body:
        evidence.append(body)
    return replace(
        _finding_of_status(status, side), evidence=tuple(evidence), retry_after=retry_seconds
    )


def _finding_of_status(status: int, side: Side) -> Finding:
    side_name = _SIDE_NAME[side]
    if status in {401, 403, 407}:
        return Finding(
            FailureClass.AUTHENTICATION,
            f"The {side_name} refused the credentials ({status}).",
            (),
            False,
        )
    if status == 429:
        return Finding(FailureClass.RATE_LIMIT, f"The {side_name} rate-limits our requests (429).")
    if status in {408, 425} or status >= 500:
        return Finding(_SIDE_CLASS[side], f"The {side_name} returned an error ({status}).")
    return Finding(
        _SIDE_CLASS[side], f"The {side_name} rejected the request ({status}).", (), False
    )


def _finding_of_botocore(response: dict[str, Any], side: Side) -> Finding | None:
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    error = response.get("Error", {})
    if not isinstance(status, int):
        return None
    return replace(
        _finding_of_status(status, side),
        evidence=(f"{status} {error.get('Code')}: {error.get('Message')}",),
    )


def _finding_without_response(error: BaseException, side: Side) -> Finding:
    text = str(error)
    too_many_retries = re.search(r"too many (\d{3}) error responses", text)
    if too_many_retries:
        finding = _finding_of_status(int(too_many_retries[1]), side)
        return replace(finding, evidence=(text[:MAX_BODY],))
    name = type(error).__name__
    if name in INVALID_ADDRESS_ERRORS:
        return Finding(
            FailureClass.CONFIGURATION, "The address is not valid.", (text[:MAX_BODY],), False
        )
    if name in NOT_RETRYABLE_ERRORS:
        message = f"The request to the {_SIDE_NAME[side]} failed."
        return Finding(_SIDE_CLASS[side], message, (f"{name}: {text[:MAX_BODY]}",), False)
    if name in UNREADABLE_RESPONSE_ERRORS:
        problem = "sent a response that cannot be read"
    else:
        problem = "did not respond in time" if "Timeout" in name else "could not be reached"
    return Finding(
        _SIDE_CLASS[side], f"The {_SIDE_NAME[side]} {problem}.", (f"{name}: {text[:MAX_BODY]}",)
    )


def parse_retry_after(header: str | None) -> float | None:
    """Return the seconds to wait, from a number or an HTTP date (RFC 9110, section 10.2.3), at least 0.

    Returns None if the header is missing or invalid.
    """
    if not header:
        return None
    try:
        return max(0.0, min(float(header), 86_400.0 * 31))
    except ValueError:
        pass
    try:
        retry_at = parsedate_to_datetime(header)
    except ValueError:
        return None
    if retry_at.tzinfo is None:
        retry_at = retry_at.replace(tzinfo=UTC)
    return max(0.0, (retry_at - datetime.now(tz=UTC)).total_seconds())


def _response_text(response: Any) -> str:
    try:
        return str(response.text)
    except Exception as error:
        return f"(the body could not be read: {type(error).__name__})"


def _remove_query(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}" if parts.scheme else url.partition("?")[0]


# PostgreSQL

_CREDENTIALS_REFUSED = re.compile(
    r"password authentication failed|no pg_hba\.conf entry|role \S+ does not exist"
    r"|no password supplied|authentication failed|is not permitted to log in",
    re.IGNORECASE,
)
_DATABASE_MISSING = re.compile(r"database \S+ does not exist", re.IGNORECASE)
UNKNOWN_NAME_SQLSTATES = {"3D000", "3F000", "42P01", "42703"}
QUERY_CANCELED = "57014"
# The classes of SQLSTATEs whose errors follow from the data, from the definition of a view or function, or from the statement,
# so the same statement fails again. 40 (transaction rollback), 53 (resources), 55 (locks), 57 and 58 may pass.
PERMANENT_SQLSTATE_CLASSES = (
    "0A",  # a feature that the server lacks
    "21",  # a subquery that returns several rows
    "22",  # a value that cannot be computed or converted
    "23",  # a constraint
    "2F", "38", "39", "P0",  # a function that failed, or raised an error
    "42",  # a statement that is not valid
    "44",  # a view with WITH CHECK OPTION
    "54",  # a limit of PostgreSQL, such as the number of columns
)  # fmt: skip


def _recognise_postgres_error(error: BaseException, side: Side) -> Finding | None:
    psycopg = sys.modules.get("psycopg")
    if psycopg is None or not isinstance(error, psycopg.Error):
        return None
    sqlstate = error.sqlstate or ""
    text = " ".join(str(error).split())
    evidence = tuple(filter(None, (f"SQLSTATE {sqlstate}" if sqlstate else "", text)))
    side_name = _SIDE_NAME[side]
    if sqlstate == "42501":
        message = f"The user of the {side_name} {LACKS_PERMISSION}."
        return Finding(FailureClass.AUTHENTICATION, message, evidence, False)
    if sqlstate.startswith("28") or (not sqlstate and _CREDENTIALS_REFUSED.search(text)):
        return Finding(
            FailureClass.AUTHENTICATION,
            f"The {side_name} refused the credentials.",
            evidence,
            False,
        )
    if side != "state" and (
        sqlstate in UNKNOWN_NAME_SQLSTATES or (not sqlstate and _DATABASE_MISSING.search(text))
    ):
        message = f"The {side_name} has {NO_SUCH} database, schema, table or column."
        return Finding(FailureClass.CONFIGURATION, message, evidence, False)
    if sqlstate in {"53100", "58030"}:
        return Finding(_SIDE_CLASS[side], f"The disk of the {side_name} is full.", evidence)
    if sqlstate == QUERY_CANCELED:
        message = f"The {side_name} cancelled the query."
        return Finding(_SIDE_CLASS[side], message, evidence)
    if not sqlstate or sqlstate[:2] in {"08", "57"}:
        return Finding(_SIDE_CLASS[side], f"The connection to the {side_name} was lost.", evidence)
    retryable = not sqlstate.startswith(PERMANENT_SQLSTATE_CLASSES)
    return Finding(_SIDE_CLASS[side], f"The {side_name} refused: {text}", evidence, retryable)


# Files, object stores, embedded databases

_STORE_CREDENTIALS_REFUSED = re.compile(
    r"ACCESS_DENIED|Access ?Denied|InvalidAccessKeyId|SignatureDoesNotMatch|HTTP (?:response code|status) 40[13]"
    r"|Permission denied|credentials",
    re.IGNORECASE,
)
_BUCKET_MISSING = re.compile(r"NO_SUCH_BUCKET|NoSuchBucket|bucket does not exist", re.IGNORECASE)


def _recognise_object_store_error(error: BaseException, side: Side) -> Finding | None:
    """Recognise errors of S3 and Google Cloud Storage, which pyarrow raises as OSError without an errno."""
    if not isinstance(error, OSError) or error.errno is not None:
        return None
    text = " ".join(str(error).split())
    if _STORE_CREDENTIALS_REFUSED.search(text):
        message = f"The {_SIDE_NAME[side]} refused the credentials."
        return Finding(FailureClass.AUTHENTICATION, message, (text,), False)
    if _BUCKET_MISSING.search(text):
        return Finding(FailureClass.CONFIGURATION, "There is no such bucket.", (text,), False)
    return Finding(_SIDE_CLASS[side], f"The {_SIDE_NAME[side]} could not be used.", (text,))


def _recognise_system_error(error: BaseException, side: Side) -> Finding | None:
    if isinstance(error, MemoryError) or str(error) == "can't start new thread":
        description = f"{type(error).__name__}: {error}".rstrip(": ")
        return Finding(FailureClass.MEMORY, memory_message(_DATA_NAME[side]), (description,), False)
    if not isinstance(error, OSError) or error.errno is None:
        return None
    text = f"{errno.errorcode.get(error.errno, error.errno)}: {error}"
    side_name = _SIDE_NAME[side]
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        failure_class = FailureClass.DESTINATION if side != "state" else FailureClass.INTERNAL
        return Finding(failure_class, "The disk is full.", (text,))
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return Finding(
            FailureClass.CONFIGURATION, f"No permission to use the {side_name}.", (text,), False
        )
    return Finding(
        _SIDE_CLASS[side], f"The {side_name} could not be used: {error.strerror}.", (text,)
    )


def _recognise_library_error(error: BaseException, side: Side) -> Finding | None:
    """Recognise errors of DuckDB, pyarrow and polars. The failure shows the message of the exception.

    A panic of polars is an exception of `pyo3_runtime`, and no `Exception`. It is the data that polars cannot handle.
    """
    library = type(error).__module__.partition(".")[0].lstrip("_")
    if library not in {"duckdb", "pyarrow", "polars", "pyo3_runtime"}:
        return None
    text = " ".join(str(error).split())
    evidence = (f"{library}.{type(error).__name__}: {text}",)
    is_panic = library == "pyo3_runtime"
    lacks_memory = is_panic and "allocate memory" in text
    if lacks_memory or type(error).__name__ == "OutOfMemoryException":
        return Finding(FailureClass.MEMORY, memory_message(_DATA_NAME[side]), evidence, False)
    if re.search(r"no space left|disk is full|could not write", text, re.IGNORECASE):
        return Finding(FailureClass.DESTINATION, "The disk is full.", evidence)
    retryable = not is_panic and bool(
        re.search(r"lock|in use|timeout|connection", text, re.IGNORECASE)
    )
    message = f"The {_SIDE_NAME[side]} failed: {text}"
    return Finding(_SIDE_CLASS[side], message, evidence, retryable)


def _finding_of_unknown_error(error: BaseException, side: Side) -> Finding:
    name, text = type(error).__name__, " ".join(str(error).split())
    description = f"{name}: {text}" if text else name
    traceback_text = "".join(traceback.format_tb(error.__traceback__)[-2:])
    lines = tuple(line.strip() for line in traceback_text.splitlines() if line.strip(" ^~"))
    return Finding(
        _SIDE_CLASS[side],
        f"The {_SIDE_NAME[side]} raised {description}",
        (description, *lines),
        not isinstance(error, _PROGRAMMING_ERRORS),
    )
