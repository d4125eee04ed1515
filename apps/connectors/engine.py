"""Call the engine from the web process, in a child process.

Each web process has one supervisor, started on first use; its fork server ends after five minutes without use.
Each call has a timeout, and the number of concurrent calls is limited, so that slow connections cannot occupy
all threads of the web process.

A failure that the request caused is returned in the result or raised as Invalid. A failure that this server caused
is raised as `Unavailable`, which becomes a 503 response.
"""

from __future__ import annotations

import atexit
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from typing import Any, TypedDict
from uuid import UUID

import structlog
from django.conf import settings

from apps.connectors import sandboxes, storage
from apps.engine import EngineSupervisor
from apps.engine.answers import (
    Checked,
    Discovered,
    Failure,
    Field,
    Previewed,
    Report,
    Repository,
    Step,
    Stream,
    Tried,
    Unpacked,
)
from apps.engine.contract import CodeSpec, SourceSpec
from apps.engine.failures import EngineError, TimedOut, Unavailable
from apps.json import JsonObject
from apps.orgs.exceptions import Invalid
from apps.web.problems import Problem

logger = structlog.get_logger(__name__)

IDLE_SECONDS = 300.0
CHECK_SECONDS = 30.0
PREVIEW_SECONDS = 60.0
VALIDATE_SECONDS = 15.0
# seconds of CPU time; a call that needs more does so because of its text, not because of a busy machine
VALIDATE_CPU = 5
UNPACK_SECONDS = 30.0
UNPACK_CPU = 20
REPOSITORY_SECONDS = 150.0
RETRY_AFTER = "5"  # seconds
_TOO_LONG = "Parsing it takes too long: make the code shorter or simpler."


class Streams(TypedDict):
    """The streams of a source, or the reason why they cannot be listed."""

    ok: bool
    streams: list[Stream]
    failure: Failure | None


class Preview(TypedDict):
    """At most the requested number of records, or the reason why there are none."""

    ok: bool
    records: list[JsonObject]
    rejected: int
    columns: list[Field]
    ms: float
    failure: Failure | None


def check(
    *,
    org_id: UUID,
    role: str,
    kind: str,
    config: JsonObject,
    code: CodeSpec | None = None,
) -> Checked:
    """Check a connection. An error of the engine is a failed step."""
    payload = {
        "role": role,
        "kind": kind,
        "config": config,
        "code": asdict(code) if code else None,
        "data": asdict(storage.check_root(org_id)),
        **_of(org_id),
    }
    try:
        found: Checked = _ask("check", org_id, payload, CHECK_SECONDS)
        return found
    except Unavailable:
        raise
    except EngineError as error:
        step = Step(step=str(error.failure_class), ok=False, message=error.message, ms=0.0)
        return {"ok": False, "steps": [step]}


def discover(
    *, org_id: UUID, kind: str, config: JsonObject, code: CodeSpec | None = None
) -> Streams:
    """List the streams that a source offers."""
    payload = {
        "role": "source",
        "kind": kind,
        "config": config,
        "code": asdict(code) if code else None,
        **_of(org_id),
    }
    try:
        found: Discovered = _ask("discover", org_id, payload, CHECK_SECONDS)
    except Unavailable:
        raise
    except EngineError as error:
        return {"ok": False, "streams": [], "failure": _failure(error)}
    return {"ok": True, "streams": found["streams"], "failure": None}


def preview(
    *, org_id: UUID, source: SourceSpec, limit: int, transform: CodeSpec | None = None
) -> Preview:
    """Return at most `limit` records. Writes nothing."""
    payload = {
        "role": "source",
        **asdict(source),
        "transform": asdict(transform) if transform else None,
        "limit": limit,
        **_of(org_id),
    }
    try:
        found: Previewed = _ask("preview", org_id, payload, PREVIEW_SECONDS)
    except Unavailable:
        raise
    except EngineError as error:
        return {
            "ok": False,
            "records": [],
            "rejected": 0,
            "columns": [],
            "ms": 0.0,
            "failure": _failure(error),
        }
    return {
        "ok": True,
        "records": found["records"],
        "rejected": found["rejected"],
        "columns": found["fields"],
        "ms": found["ms"],
        "failure": None,
    }


def validate(*, org_id: UUID, code: str) -> Report:
    """Return the report on a text (`apps.engine.authoring.report`) without running it.

    Raises Invalid, Unavailable.
    """
    payload = {"kind": "custom", "text": code}
    with _invalid("code"):
        found: Report = _ask("validate", org_id, payload, VALIDATE_SECONDS, VALIDATE_CPU)
        return found


def validate_transform(*, org_id: UUID, code: str, field: str) -> Report:
    """Return the report on a transform's text, with messages only, without running it.

    Raises Unavailable, and Invalid that names `field`.
    """
    payload = {"kind": "transform", "text": code}
    with _invalid(field):
        found: Report = _ask("validate_transform", org_id, payload, VALIDATE_SECONDS, VALIDATE_CPU)
        return found


def read_repository(*, org_id: UUID, config: JsonObject) -> Repository:
    """Read a branch: see `apps.engine.repository.read_repository`. Raises EngineError."""
    payload = {"role": "source", "kind": "repository", "config": dict(config), **_of(org_id)}
    found: Repository = _ask("read_repository", org_id, payload, REPOSITORY_SECONDS)
    return found


def unpack(*, org_id: UUID, filename: str, content: str) -> Unpacked:
    """Return the files of an upload with base64 `content`: see `apps.engine.authoring.bundles.unpack`.

    Raises Invalid, Unavailable.
    """
    payload = {"kind": "upload", "filename": filename, "content": content}
    with _invalid("content"):
        found: Unpacked = _ask("unpack", org_id, payload, UNPACK_SECONDS, UNPACK_CPU)
        return found


def try_source(*, org_id: UUID, source: SourceSpec, limit: int) -> Tried:
    """Preview a source for its author: see `apps.engine.trial.try_source`."""
    payload = {"role": "source", **asdict(source), "limit": limit, **_of(org_id)}
    try:
        found: Tried = _ask("try_source", org_id, payload, PREVIEW_SECONDS)
        return found
    except Unavailable:
        raise
    except EngineError as error:
        return {
            "ok": False,
            "records": [],
            "rejected": 0,
            "columns": [],
            "ms": 0.0,
            "requests": [],
            "log": [],
            "network": [],
            "isolation": "",
            "failure": _failure(error),
        }


@lru_cache(maxsize=1)
def supervisor() -> EngineSupervisor:
    """Return this process's supervisor, which is closed when the process ends."""
    made = EngineSupervisor(idle_timeout=IDLE_SECONDS, memory=settings.CHILD_MEMORY)
    atexit.register(made.close)
    return made


SEATS = max(2, settings.WEB_THREADS // 2)
SEATS_OF_AN_ORG = max(1, SEATS // 2)  # slow servers of one org must leave capacity for other orgs

_seats = threading.BoundedSemaphore(SEATS)
_taken: Counter[UUID] = Counter()
_taking = threading.Lock()


@contextmanager
def _seat(org_id: UUID) -> Iterator[None]:
    """Take one of the slots for concurrent calls. Raises Problem 429 if all of them, or the org's, are in use."""
    with _taking:
        if _taken[org_id] >= SEATS_OF_AN_ORG or not _seats.acquire(blocking=False):
            raise Problem(
                429,
                "Too many checks and previews are running; try again in a few seconds.",
                "busy",
                headers={"Retry-After": RETRY_AFTER},
            )
        _taken[org_id] += 1
    try:
        yield
    finally:
        with _taking:
            _taken[org_id] -= 1
            if not _taken[org_id]:
                del _taken[org_id]
        _seats.release()


def _ask(
    name: str,
    org_id: UUID,
    payload: JsonObject,
    seconds: float,
    cpu_seconds: int | None = None,
) -> Any:
    """Return the call's result; `apps.engine.answers` has the type of each result."""
    with _seat(org_id):
        try:
            return supervisor().call(name, payload, seconds, cpu_seconds=cpu_seconds)
        except EngineError as error:
            logger.info("engine call failed", call=name, kind=payload["kind"], why=error.message)
            raise


@contextmanager
def _invalid(field: str) -> Iterator[None]:
    """Convert the failure: a text that cannot be parsed is an error of its field; a busy machine is Unavailable."""
    try:
        yield
    except Unavailable:
        raise
    except TimedOut as error:
        if error.retryable:
            raise Unavailable("The server is too busy to do this now; try again.") from error
        raise Invalid([(field, _TOO_LONG, "unreadable")]) from error
    except EngineError as error:
        raise Invalid([(field, error.message, "unreadable")]) from error


def _of(org_id: UUID) -> dict[str, Any]:
    return {
        "files": asdict(storage.files_root(org_id)),
        "allow_private_networks": settings.ALLOW_PRIVATE_NETWORKS,
        "sandbox": asdict(sandboxes.for_questions()),
    }


def _failure(error: EngineError) -> Failure:
    return {
        "failure_class": str(error.failure_class),
        "message": error.message,
        "evidence": list(error.evidence),
    }
