"""Convert an exception to a failure that its user understands: class, message and evidence.

Libraries are recognised without importing them: a library that was never imported cannot raise.
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
    too_much_memory,
)
from apps.engine.reporting.redaction import Redactor

Side = Literal["source", "destination", "state"]

BODY = 300  # characters of a response that are shown
MESSAGE = 500
EVIDENCE_LINES = 12

_BUGS = (
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
_HANDLED = {
    "source": "the source's data",
    "destination": "the data for the destination",
    "state": "this run",
}
_SIDE_NAME = {"source": "source", "destination": "destination", "state": "engine's state database"}


@dataclass(frozen=True, slots=True)
class Finding:
    failure_class: FailureClass
    message: str
    evidence: tuple[str, ...] = ()
    retryable: bool = True
    retry_after: float | None = None


def classify(error: BaseException, *, side: Side, redactor: Redactor) -> Failed:
    """Return the failure of a run that ended with this exception, without the secrets that `redactor` knows."""
    finding = _find(error, side)
    return Failed(
        failure_class=finding.failure_class,
        message=redactor.text(finding.message)[:MESSAGE],
        evidence=tuple(redactor.text(line)[:MESSAGE] for line in finding.evidence[:EVIDENCE_LINES]),
        retryable=finding.retryable,
        retry_after=finding.retry_after,
    )


def _find(error: BaseException, side: Side) -> Finding:
    for link in _chain(error):
        for look in (_ours, _http, _postgres, _object_store, _system, _embedded):
            finding = look(link, side)
            if finding is not None:
                return finding
    return _unknown(error, side)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Return the exception, the exceptions it wraps, and those it was raised from."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        held = getattr(link, "orig", None)  # SQLAlchemy keeps the driver's exception here.
        if isinstance(held, BaseException):
            yield held
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _ours(error: BaseException, _side: Side) -> Finding | None:
    if isinstance(error, EgressError):
        return Finding(FailureClass.CONFIGURATION, error.message, error.evidence, error.retryable)
    if not isinstance(error, EngineError):
        return None
    return Finding(
        error.failure_class, error.message, error.evidence, error.retryable, error.retry_after
    )


# HTTP: requests, httpx, urllib3, google-api-core, botocore.

NOT_AN_ADDRESS = frozenset(
    {"InvalidSchema", "InvalidURL", "LocationParseError", "MissingSchema", "UnsupportedProtocol"}
)
# Errors that repeat for the same request: the connection itself did not fail.
NOT_RETRYABLE = frozenset(
    {
        "CookieConflict", "InvalidHeader", "InvalidJSONError", "InvalidProxyURL", "LocalProtocolError", "StreamClosed",
        "StreamConsumed", "StreamConsumedError", "TooManyRedirects",
    }
)  # fmt: skip
# Retried, as the REST source does: it may be the page of a server under maintenance, or cut off.
UNREADABLE_RESPONSE = frozenset({"ContentDecodingError", "DecodingError", "JSONDecodeError"})


def _http(error: BaseException, side: Side) -> Finding | None:
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        return _botocore(response, side)
    status = getattr(response, "status_code", None)
    if isinstance(status, int):
        return _answered(response, status, side)
    module = type(error).__module__.partition(".")[0]
    code = getattr(error, "code", None)
    if module == "google" and isinstance(code, int):
        return replace(_by_status(code, side), evidence=(f"{code} {str(error)[:BODY]}",))
    if module in {"requests", "httpx", "httpcore", "urllib3"}:
        return _unanswered(error, side)
    return None


def _answered(response: Any, status: int, side: Side) -> Finding:
    request = getattr(response, "request", None)
    target = _without_query(str(getattr(request, "url", "") or getattr(response, "url", "")))
    method = getattr(request, "method", "") or ""
    reason = getattr(response, "reason", None) or getattr(response, "reason_phrase", "")
    body = " ".join(_body(response).split())[:BODY]
    evidence = [f"{method} {target}".strip(), f"{status} {reason}".strip()]
    wait = retry_after(response.headers.get("Retry-After"))
    if wait is not None:
        evidence.append(f"Retry-After: {response.headers['Retry-After']}")
    if body:
        evidence.append(body)
    return replace(_by_status(status, side), evidence=tuple(evidence), retry_after=wait)


def _by_status(status: int, side: Side) -> Finding:
    where = _SIDE_NAME[side]
    if status in {401, 403, 407}:
        return Finding(
            FailureClass.AUTHENTICATION,
            f"The {where} refused the credentials ({status}).",
            (),
            False,
        )
    if status == 429:
        return Finding(FailureClass.RATE_LIMIT, f"The {where} rate-limits our requests (429).")
    if status in {408, 425} or status >= 500:
        return Finding(_SIDE_CLASS[side], f"The {where} returned an error ({status}).")
    return Finding(_SIDE_CLASS[side], f"The {where} rejected the request ({status}).", (), False)


def _botocore(response: dict[str, Any], side: Side) -> Finding | None:
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    said = response.get("Error", {})
    if not isinstance(status, int):
        return None
    return replace(
        _by_status(status, side), evidence=(f"{status} {said.get('Code')}: {said.get('Message')}",)
    )


def _unanswered(error: BaseException, side: Side) -> Finding:
    text = str(error)
    repeated = re.search(r"too many (\d{3}) error responses", text)
    if repeated:
        return replace(_by_status(int(repeated[1]), side), evidence=(text[:BODY],))
    name = type(error).__name__
    if name in NOT_AN_ADDRESS:
        return Finding(
            FailureClass.CONFIGURATION, "The address is not valid.", (text[:BODY],), False
        )
    if name in NOT_RETRYABLE:
        message = f"The request to the {_SIDE_NAME[side]} failed."
        return Finding(_SIDE_CLASS[side], message, (f"{name}: {text[:BODY]}",), False)
    if name in UNREADABLE_RESPONSE:
        what = "sent a response that cannot be read"
    else:
        what = "did not respond in time" if "Timeout" in name else "could not be reached"
    return Finding(
        _SIDE_CLASS[side], f"The {_SIDE_NAME[side]} {what}.", (f"{name}: {text[:BODY]}",)
    )


def retry_after(header: str | None) -> float | None:
    """Return the seconds to wait, from a number or an HTTP date (RFC 9110, section 10.2.3); never negative."""
    if not header:
        return None
    try:
        return max(0.0, min(float(header), 86_400.0 * 31))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(tz=UTC)).total_seconds())


def _body(response: Any) -> str:
    try:
        return str(response.text)
    except Exception as error:
        return f"(the body could not be read: {type(error).__name__})"


def _without_query(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}" if parts.scheme else url.partition("?")[0]


# PostgreSQL

_REFUSED = re.compile(
    r"password authentication failed|no pg_hba\.conf entry|role \S+ does not exist"
    r"|no password supplied|authentication failed|is not permitted to log in",
    re.IGNORECASE,
)
_MISSING = re.compile(r"database \S+ does not exist", re.IGNORECASE)
WRONG_NAMES = {"3D000", "3F000", "42P01", "42703"}


def _postgres(error: BaseException, side: Side) -> Finding | None:
    psycopg = sys.modules.get("psycopg")
    if psycopg is None or not isinstance(error, psycopg.Error):
        return None
    state = error.sqlstate or ""
    text = " ".join(str(error).split())
    evidence = tuple(filter(None, (f"SQLSTATE {state}" if state else "", text)))
    where = _SIDE_NAME[side]
    if state == "42501":
        message = f"The user of the {where} {LACKS_PERMISSION}."
        return Finding(FailureClass.AUTHENTICATION, message, evidence, False)
    if state.startswith("28") or (not state and _REFUSED.search(text)):
        return Finding(
            FailureClass.AUTHENTICATION, f"The {where} refused the credentials.", evidence, False
        )
    if side != "state" and (state in WRONG_NAMES or (not state and _MISSING.search(text))):
        message = f"The {where} has {NO_SUCH} database, schema, table or column."
        return Finding(FailureClass.CONFIGURATION, message, evidence, False)
    if state in {"53100", "58030"}:
        return Finding(_SIDE_CLASS[side], f"The disk of the {where} is full.", evidence)
    if not state or state[:2] in {"08", "57"}:
        return Finding(_SIDE_CLASS[side], f"The connection to the {where} was lost.", evidence)
    bad_data = state.startswith(("22", "23", "42", "0A"))
    return Finding(_SIDE_CLASS[side], f"The {where} refused: {text}", evidence, not bad_data)


# files, object stores, embedded databases

_STORE_REFUSED = re.compile(
    r"ACCESS_DENIED|Access ?Denied|InvalidAccessKeyId|SignatureDoesNotMatch|HTTP (?:response code|status) 40[13]"
    r"|Permission denied|credentials",
    re.IGNORECASE,
)
_STORE_MISSING = re.compile(r"NO_SUCH_BUCKET|NoSuchBucket|bucket does not exist", re.IGNORECASE)


def _object_store(error: BaseException, side: Side) -> Finding | None:
    """Recognise errors of S3 and Google Cloud Storage, which pyarrow raises as OSError without an errno."""
    if not isinstance(error, OSError) or error.errno is not None:
        return None
    text = " ".join(str(error).split())
    if _STORE_REFUSED.search(text):
        message = f"The {_SIDE_NAME[side]} refused the credentials."
        return Finding(FailureClass.AUTHENTICATION, message, (text,), False)
    if _STORE_MISSING.search(text):
        return Finding(FailureClass.CONFIGURATION, "There is no such bucket.", (text,), False)
    return Finding(_SIDE_CLASS[side], f"The {_SIDE_NAME[side]} could not be used.", (text,))


def _system(error: BaseException, side: Side) -> Finding | None:
    if isinstance(error, MemoryError) or str(error) == "can't start new thread":
        said = f"{type(error).__name__}: {error}".rstrip(": ")
        return Finding(FailureClass.MEMORY, too_much_memory(_HANDLED[side]), (said,), False)
    if not isinstance(error, OSError) or error.errno is None:
        return None
    text = f"{errno.errorcode.get(error.errno, error.errno)}: {error}"
    where = _SIDE_NAME[side]
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        target = FailureClass.DESTINATION if side != "state" else FailureClass.INTERNAL
        return Finding(target, "The disk is full.", (text,))
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return Finding(
            FailureClass.CONFIGURATION, f"No permission to use the {where}.", (text,), False
        )
    return Finding(_SIDE_CLASS[side], f"The {where} could not be used: {error.strerror}.", (text,))


def _embedded(error: BaseException, side: Side) -> Finding | None:
    """DuckDB, pyarrow, polars: use the exception's own message."""
    library = type(error).__module__.partition(".")[0].lstrip("_")
    if library not in {"duckdb", "pyarrow", "polars"}:
        return None
    text = " ".join(str(error).split())
    evidence = (f"{library}.{type(error).__name__}: {text}",)
    if type(error).__name__ == "OutOfMemoryException":
        return Finding(FailureClass.MEMORY, too_much_memory(_HANDLED[side]), evidence, False)
    if re.search(r"no space left|disk is full|could not write", text, re.IGNORECASE):
        return Finding(FailureClass.DESTINATION, "The disk is full.", evidence)
    retryable = bool(re.search(r"lock|in use|timeout|connection", text, re.IGNORECASE))
    message = f"The {_SIDE_NAME[side]} failed: {text}"
    return Finding(_SIDE_CLASS[side], message, evidence, retryable)


def _unknown(error: BaseException, side: Side) -> Finding:
    name, text = type(error).__name__, " ".join(str(error).split())
    said = f"{name}: {text}" if text else name
    place = "".join(traceback.format_tb(error.__traceback__)[-2:])
    lines = tuple(line.strip() for line in place.splitlines() if line.strip(" ^~"))
    return Finding(
        _SIDE_CLASS[side],
        f"The {_SIDE_NAME[side]} raised {said}",
        (said, *lines),
        not isinstance(error, _BUGS),
    )
