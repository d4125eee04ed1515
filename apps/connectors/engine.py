"""Call the engine from the web process, in a child process.

Each web process has one supervisor. It starts at the first call, and its fork server ends after five minutes without
calls. Each call has a timeout, and the number of concurrent calls is limited, so that slow connections cannot occupy
all threads of the web process.

A failure that the request caused is returned in the result or raised as Invalid. A failure that this server caused
is raised as `Unavailable`, which becomes a 503 response.
"""

from __future__ import annotations

import atexit
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict
from functools import lru_cache
from typing import Any, TypedDict
from uuid import UUID

import structlog
from django.conf import settings

from apps.connectors import sandboxes, storage
from apps.engine import EngineSupervisor
from apps.engine.answers import (
    CheckAnswer,
    DiscoveryAnswer,
    Failure,
    Field,
    FilesAnswer,
    LeftOutReason,
    PreviewAnswer,
    Report,
    Repository,
    SizesAnswer,
    Step,
    Stream,
    StreamSize,
    TrialAnswer,
    UnpackedFiles,
)
from apps.engine.contract import CodeSpec, Contract, SourceSpec
from apps.engine.failures import EngineError, TimedOut, Unavailable
from apps.engine.field_rules import NO_RULES, FieldRules
from apps.engine.sync.state import PublishedColumns
from apps.engine.windows import WindowPlan, WindowRequest
from apps.json import JsonObject
from apps.orgs.exceptions import Invalid
from apps.web.problems import BUSY, Problem

logger = structlog.get_logger(__name__)

IDLE_SECONDS = 300.0
CHECK_SECONDS = 30.0
ESTIMATE_SECONDS = 2.0
PREVIEW_SECONDS = 60.0
VALIDATE_SECONDS = 15.0
# A text that is too complex exceeds this limit; a slow call on a busy machine does not.
VALIDATE_CPU_SECONDS = 5
UNPACK_SECONDS = 30.0
UNPACK_CPU_SECONDS = 20
REPOSITORY_SECONDS = 150.0
RETRY_AFTER = "5"  # seconds
_TOO_SLOW_TO_PARSE = "Parsing the code takes too long: make it shorter or simpler."


class Streams(TypedDict):
    """The streams of a source, or the reason why they cannot be listed."""

    ok: bool
    streams: list[Stream]
    failure: Failure | None


class StreamSizes(TypedDict):
    """The estimated sizes of streams by name, and the reason why the other streams have none.

    `names` are those of all streams of the source, or None if it did not list them.
    """

    sizes: dict[str, StreamSize]
    names: list[str] | None
    problem: str


class ContractSpec(TypedDict):
    """The contract of a stream, and the columns of its newest finished sync that it compares with."""

    contract: Contract
    write_mode: str
    published: PublishedColumns | None


class Preview(TypedDict):
    """At most the requested number of records, or the reason why there are none."""

    ok: bool
    records: list[JsonObject]
    rejected: int
    skipped: int
    left_out: list[LeftOutReason]
    columns: list[Field]
    ms: float
    read_as: str
    failure: Failure | None


def check(
    *,
    org_id: UUID,
    role: str,
    kind: str,
    config: JsonObject,
    code: CodeSpec | None = None,
) -> CheckAnswer:
    """Check a connection. An error of the engine becomes a failed step."""
    payload = {
        "role": role,
        "kind": kind,
        "config": config,
        "code": asdict(code) if code else None,
        "data": asdict(storage.check_files_root(org_id)),
        **_common_payload(org_id),
    }
    try:
        answer: CheckAnswer = _call_engine("check", org_id, payload, CHECK_SECONDS)
        return answer
    except Unavailable:
        raise
    except EngineError as error:
        step = Step(step=str(error.failure_class), ok=False, message=error.message, ms=0.0)
        return {"ok": False, "steps": [step]}


def discover(
    *, org_id: UUID, kind: str, config: JsonObject, code: CodeSpec | None = None
) -> Streams:
    """List the streams that a source offers."""
    payload = discovery_payload(org_id=org_id, kind=kind, config=config, code=code)
    try:
        answer: DiscoveryAnswer = _call_engine("discover", org_id, payload, CHECK_SECONDS)
    except Unavailable:
        raise
    except EngineError as error:
        return {"ok": False, "streams": [], "failure": _failure(error)}
    return {"ok": True, "streams": answer["streams"], "failure": None}


def discovery_payload(
    *, org_id: UUID, kind: str, config: JsonObject, code: CodeSpec | None
) -> JsonObject:
    """Return the payload of the call `discover`."""
    return {
        "role": "source",
        "kind": kind,
        "config": config,
        "code": asdict(code) if code else None,
        **_common_payload(org_id),
    }


def estimate_sizes(
    *, org_id: UUID, kind: str, config: JsonObject, streams: Sequence[str]
) -> StreamSizes:
    """Estimate what a complete read of each stream needs. Does not raise if the source or this server is slow."""
    common = discovery_payload(org_id=org_id, kind=kind, config=config, code=None)
    payload = {**common, "streams": list(streams)}
    try:
        answer: SizesAnswer = _call_engine("estimate_sizes", org_id, payload, ESTIMATE_SECONDS)
    except Problem:
        return no_sizes("too many checks and previews are running")
    except TimedOut:
        return no_sizes(f"the source did not answer in {ESTIMATE_SECONDS:g} seconds")
    except EngineError as error:
        return no_sizes(f"the source cannot be read now ({error.failure_class})")
    return {**answer, "problem": ""}


def no_sizes(problem: str) -> StreamSizes:
    return {"sizes": {}, "names": None, "problem": problem}


def list_files(*, org_id: UUID, source: SourceSpec) -> FilesAnswer:
    """Return which files the streams of a source have, without reading them. Raises EngineError."""
    payload = {"role": "source", **asdict(source), **_common_payload(org_id)}
    answer: FilesAnswer = _call_engine("list_files", org_id, payload, CHECK_SECONDS)
    return answer


def plan_window(
    *, org_id: UUID, source: SourceSpec, window: WindowRequest, position: JsonObject
) -> WindowPlan:
    """Check the window of a backfill, and divide it into chunks. Raises EngineError."""
    payload = {
        "role": "source",
        **asdict(source),
        "window": asdict(window),
        "state": position,
        **_common_payload(org_id),
    }
    answer = _call_engine("plan_window", org_id, payload, PREVIEW_SECONDS)
    return WindowPlan(**{**answer, "between": tuple(answer["between"])})


def preview(
    *,
    org_id: UUID,
    source: SourceSpec,
    limit: int,
    fields: FieldRules = NO_RULES,
    transform: CodeSpec | None = None,
    contract: ContractSpec | None = None,
) -> Preview:
    """Return at most `limit` records, with changed fields and transformed. Writes nothing."""
    payload = {
        "role": "source",
        **asdict(source),
        "fields": asdict(fields),
        "transform": asdict(transform) if transform else None,
        **(contract or {}),
        "limit": limit,
        **_common_payload(org_id),
    }
    try:
        answer: PreviewAnswer = _call_engine("preview", org_id, payload, PREVIEW_SECONDS)
    except Unavailable:
        raise
    except EngineError as error:
        return {
            "ok": False,
            "records": [],
            "rejected": 0,
            "skipped": 0,
            "left_out": [],
            "columns": [],
            "ms": 0.0,
            "read_as": "",
            "failure": _failure(error),
        }
    return {
        "ok": True,
        "records": answer["records"],
        "rejected": answer["rejected"],
        "skipped": answer["skipped"],
        "left_out": answer["left_out"],
        "columns": answer["fields"],
        "ms": answer["ms"],
        "read_as": answer["read_as"],
        "failure": None,
    }


def validate(*, org_id: UUID, code: str) -> Report:
    """Return the report on the code (`apps.engine.authoring.report`) without running the code.

    Raises Invalid and Unavailable.
    """
    payload = {"kind": "custom", "text": code}
    with _convert_errors_to_invalid("code"):
        answer: Report = _call_engine(
            "validate", org_id, payload, VALIDATE_SECONDS, VALIDATE_CPU_SECONDS
        )
        return answer


def validate_transform(*, org_id: UUID, code: str, field: str) -> Report:
    """Return the report on a transform's code, without running the code. The report contains only messages.

    Raises Unavailable, and Invalid with an error of `field`.
    """
    payload = {"kind": "transform", "text": code}
    with _convert_errors_to_invalid(field):
        answer: Report = _call_engine(
            "validate_transform", org_id, payload, VALIDATE_SECONDS, VALIDATE_CPU_SECONDS
        )
        return answer


def read_repository(*, org_id: UUID, config: JsonObject) -> Repository:
    """Read a branch with `apps.engine.repository.read_repository`. Raises EngineError."""
    payload = {
        "role": "source",
        "kind": "repository",
        "config": dict(config),
        **_common_payload(org_id),
    }
    answer: Repository = _call_engine("read_repository", org_id, payload, REPOSITORY_SECONDS)
    return answer


def unpack(*, org_id: UUID, filename: str, content: str) -> UnpackedFiles:
    """Return the files of an upload with base64 `content`, see `apps.engine.authoring.bundles.unpack`.

    Raises Invalid and Unavailable.
    """
    payload = {"kind": "upload", "filename": filename, "content": content}
    with _convert_errors_to_invalid("content"):
        answer: UnpackedFiles = _call_engine(
            "unpack", org_id, payload, UNPACK_SECONDS, UNPACK_CPU_SECONDS
        )
        return answer


def try_source(*, org_id: UUID, source: SourceSpec, limit: int) -> TrialAnswer:
    """Preview a source for its author, with `apps.engine.trial.try_source`."""
    payload = {"role": "source", **asdict(source), "limit": limit, **_common_payload(org_id)}
    try:
        answer: TrialAnswer = _call_engine("try_source", org_id, payload, PREVIEW_SECONDS)
        return answer
    except Unavailable:
        raise
    except EngineError as error:
        return {
            "ok": False,
            "records": [],
            "rejected": 0,
            "skipped": 0,
            "left_out": [],
            "columns": [],
            "ms": 0.0,
            "requests": [],
            "log": [],
            "network": [],
            "isolation": "",
            "failure": _failure(error),
        }


def call_function(
    name: str, *, module: str, org_id: UUID, payload: JsonObject, seconds: float
) -> Any:
    """Call a function of another app in a child process. `payload` has its kind, for the log.

    Raises EngineError, and Problem 429 if too many calls run.
    """
    return _call_engine(name, org_id, payload, seconds, module=module)


@lru_cache(maxsize=1)
def supervisor() -> EngineSupervisor:
    """Return this process's supervisor, which is closed when the process ends."""
    engine_supervisor = EngineSupervisor(idle_timeout=IDLE_SECONDS, memory=settings.CHILD_MEMORY)
    atexit.register(engine_supervisor.close)
    return engine_supervisor


MAX_CALLS = max(2, settings.WEB_THREADS // 2)
# Calls of one org to slow servers must not block the calls of other orgs.
MAX_CALLS_OF_ORG = max(1, MAX_CALLS // 2)

_call_semaphore = threading.BoundedSemaphore(MAX_CALLS)
_open_calls: Counter[UUID] = Counter()
_open_calls_lock = threading.Lock()


@contextmanager
def _count_call(org_id: UUID) -> Iterator[None]:
    """Count a call while it runs. Raises Problem 429 if too many calls run, in this process or for this org."""
    with _open_calls_lock:
        if _open_calls[org_id] >= MAX_CALLS_OF_ORG or not _call_semaphore.acquire(blocking=False):
            raise Problem(
                429,
                "Too many checks and previews are running; try again in a few seconds.",
                BUSY,
                headers={"Retry-After": RETRY_AFTER},
            )
        _open_calls[org_id] += 1
    try:
        yield
    finally:
        with _open_calls_lock:
            _open_calls[org_id] -= 1
            if not _open_calls[org_id]:
                del _open_calls[org_id]
        _call_semaphore.release()


_nobody_waits: ContextVar[threading.Event | None] = ContextVar("nobody_waits", default=None)


@contextmanager
def end_calls_when(nobody_waits: threading.Event) -> Iterator[None]:
    """End the calls of this thread as soon as the event is set. They raise Cancelled, as an EngineError or in a result."""
    token = _nobody_waits.set(nobody_waits)
    try:
        yield
    finally:
        _nobody_waits.reset(token)


def _call_engine(
    name: str,
    org_id: UUID,
    payload: JsonObject,
    seconds: float,
    cpu_seconds: int | None = None,
    module: str | None = None,
) -> Any:
    """Return the call's result; `apps.engine.answers` has the type of each result."""
    nobody_waits = _nobody_waits.get() or threading.Event()
    with _count_call(org_id):
        try:
            return supervisor().call(
                name,
                payload,
                seconds,
                cpu_seconds=cpu_seconds,
                module=module,
                should_stop=nobody_waits.is_set,
            )
        except EngineError as error:
            logger.info("engine call failed", call=name, kind=payload["kind"], why=error.message)
            raise


@contextmanager
def _convert_errors_to_invalid(field: str) -> Iterator[None]:
    """Raise Invalid for a text that cannot be parsed, and Unavailable if the machine is too busy to parse it."""
    try:
        yield
    except Unavailable:
        raise
    except TimedOut as error:
        if error.retryable:
            raise Unavailable("The server is too busy to do this now; try again.") from error
        raise Invalid([(field, _TOO_SLOW_TO_PARSE, "unreadable")]) from error
    except EngineError as error:
        raise Invalid([(field, error.message, "unreadable")]) from error


def _common_payload(org_id: UUID) -> dict[str, Any]:
    return {
        "files": asdict(storage.files_root(org_id)),
        "allow_private_networks": settings.ALLOW_PRIVATE_NETWORKS,
        "sandbox": asdict(sandboxes.spec_for_previews()),
    }


def _failure(error: EngineError) -> Failure:
    return {
        "failure_class": str(error.failure_class),
        "message": error.message,
        "evidence": list(error.evidence),
    }
