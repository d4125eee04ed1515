"""Render every error as `application/problem+json` (RFC 9457).

Exceptions of Django, the REST framework, the database and the engine are mapped here. Each app registers the mapping
of its own exceptions, in its `problems.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import psycopg
import structlog
from django.core.exceptions import RequestDataTooBig
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
)
from django.http import Http404
from django.utils.module_loading import autodiscover_modules
from psycopg import errors
from rest_framework import exceptions as drf
from rest_framework.response import Response

from apps.background.database_errors import LOCK_ERRORS, first_line
from apps.engine import failures as engine

logger = structlog.get_logger(__name__)
MappingT = TypeVar("MappingT", bound="Callable[[Any], Problem]")

BUSY = "busy"  # the code of a request that is refused because too much other work is done now
TITLES = {
    400: "The request is malformed",
    401: "No valid credential",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    408: "Not sent in time",
    409: "Conflict",
    410: "No longer there",
    411: "Length required",
    412: "Changed meanwhile",
    413: "Too large",
    415: "Unsupported media type",
    421: "Not for this installation",
    422: "Invalid content",
    423: "Disabled",
    429: "Too many requests",
    500: "Our mistake",
    503: "Temporarily unavailable",
}


@dataclass
class Problem(Exception):
    """An error response. `errors` are (field path, message, code)."""

    status: int
    detail: str = ""
    code: str = ""
    errors: Iterable[tuple[str, str, str]] = ()
    headers: dict[str, str] | None = None
    extra: dict[str, Any] | None = None

    def response(self) -> Response:
        code = self.code or TITLES[self.status].lower().replace(" ", "_")
        body: dict[str, Any] = {
            "type": f"urn:drover:problem:{code}",
            "title": TITLES[self.status],
            "status": self.status,
            "detail": self.detail or TITLES[self.status] + ".",
            "code": code,
            "errors": [{"field": f, "message": m, "code": c} for f, m, c in self.errors],
            **(self.extra or {}),
        }
        answer = Response(body, status=self.status, headers=self.headers)
        answer.content_type = "application/problem+json"
        return answer


BODY_TOO_LARGE = Problem(413, "The body is larger than 2 MiB.", "too_large")
BODY_TOO_SLOW = Problem(
    408, "The rest of the body did not arrive in time: send the request again.", "too_slow"
)
NOT_FOUND = "There is no such object."

_registered: dict[type[Exception], Callable[[Any], Problem]] = {}
_error_formats: dict[str, Callable[[Problem], Response]] = {}


@cache
def _import_registrations() -> None:
    """Import every app's `problems.py` once. This happens at the first response, so a worker does not import them."""
    autodiscover_modules("problems")


def register(*exception_classes: type[Exception]) -> Callable[[MappingT], MappingT]:
    """Register the mapping of exceptions of these classes and their subclasses."""

    def add_mapping(mapping: MappingT) -> MappingT:
        _registered.update(dict.fromkeys(exception_classes, mapping))
        return mapping

    return add_mapping


def register_error_format(prefix: str, error_format: Callable[[Problem], Response]) -> None:
    """Register the format of the errors below this path that no view handles."""
    _error_formats[prefix] = error_format


def problem_response_for_path(path: str, problem: Problem) -> Response:
    """Return the response for a problem that no view has handled, in the format of its path."""
    _import_registrations()
    formats = (value for prefix, value in _error_formats.items() if path.startswith(prefix))
    error_format = next(formats, Problem.response)
    return error_format(problem)


def handle_exception(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. Returns None for unknown exceptions, which are then logged as a 500."""
    problem = as_problem(error)
    return problem.response() if problem else None


def as_problem(error: Exception) -> Problem | None:
    """Return the problem for an exception, or None if the exception has no mapping, which means a bug in Drover."""
    _import_registrations()
    for exception_class in type(error).__mro__:
        if mapping := _registered.get(exception_class):
            return mapping(error)
    match error:
        case Problem():
            return error
        case drf.ValidationError():
            return Problem(422, "Some fields are invalid.", "invalid", list(_flatten(error.detail)))
        case drf.ParseError():
            return Problem(400, str(error.detail), "malformed")
        case drf.NotAuthenticated() | drf.AuthenticationFailed():
            return unauthenticated(str(error.detail))
        case Http404() | drf.NotFound():
            return Problem(404, NOT_FOUND, "not_found")
        case drf.MethodNotAllowed():
            return Problem(405, str(error.detail), "method_not_allowed")
        case drf.NotAcceptable():
            return Problem(406, str(error.detail), "not_acceptable")
        case drf.UnsupportedMediaType():
            return Problem(415, str(error.detail), "unsupported_media_type")
        case RequestDataTooBig():
            return BODY_TOO_LARGE
        case engine.EngineError():
            return _engine_problem(error)
    return _database_problem(error)


def unauthenticated(detail: str) -> Problem:
    """Return Problem 401 for a request without a valid credential."""
    return Problem(401, detail, "unauthenticated", headers={"WWW-Authenticate": "Bearer"})


def _database_problem(error: Exception) -> Problem | None:
    match error:
        case DataError():
            logger.warning("the database rejected a value", error=first_line(error))
            return Problem(422, "A value is out of range.", "invalid")
        case IntegrityError():  # Two requests conflicted. The services handle the expected conflicts.
            logger.warning("a constraint rejected a change", error=first_line(error))
            return Problem(409, "Another change was made first; reload and try again.", "conflict")
        case DatabaseError() | InterfaceError():
            return _unavailable(error.__cause__ or error)
        case psycopg.Error():  # The engine's state is read without Django.
            return _unavailable(error)
    return None


UNAVAILABLE_ERRORS = (
    OperationalError,
    InterfaceError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    errors.IdleInTransactionSessionTimeout,  # This process was frozen inside the transaction.
)


def _unavailable(error: BaseException) -> Problem | None:
    """Return Problem 503 for a locked row or an unavailable database. Return None for any other error."""
    if isinstance(error, LOCK_ERRORS):
        logger.warning("a statement waited too long for a lock", error=first_line(error))
        detail = "Another change is still in progress; try again shortly."
        return Problem(503, detail, BUSY, headers={"Retry-After": "2"})
    if isinstance(error, UNAVAILABLE_ERRORS):
        logger.warning("database unavailable", error=first_line(error))
        detail = "The database is not available; try again shortly."
        return Problem(503, detail, "unavailable", headers={"Retry-After": "5"})
    return None


def _engine_problem(error: engine.EngineError) -> Problem:
    """Return Problem 503 if the engine caused the error, or 422 if the request caused it."""
    engine_errors = engine.Unavailable, engine.TimedOut
    if isinstance(error, engine_errors) or error.failure_class is engine.FailureClass.INTERNAL:
        logger.warning("engine is not available", error=error.message, evidence=error.evidence)
        return Problem(503, error.message, "unavailable", headers={"Retry-After": "5"})
    return Problem(422, error.message, str(error.failure_class))


def _flatten(detail: Any, path: str = "") -> Iterable[tuple[str, str, str]]:
    """Flatten DRF's nested error detail to (path, message, code), with paths like `source.config.port`."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            step = "" if name == "non_field_errors" else str(name)
            yield from _flatten(inner, ".".join(part for part in (path, step) if part))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            is_nested = isinstance(inner, dict | list)
            yield from _flatten(inner, f"{path}.{index}" if is_nested else path)
    else:
        yield path, str(detail), str(getattr(detail, "code", "invalid"))
