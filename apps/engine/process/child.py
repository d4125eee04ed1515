"""The code of a forked child: read the request, do the work, report the result."""

from __future__ import annotations

import importlib
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any

import orjson
from loguru import logger

from apps.egress.traffic import traffic
from apps.engine.contract import ChildLimits, Event, Failed, LogLevel, LogLine, RunSpec, Started
from apps.engine.process import confinement
from apps.engine.process.protocol import VERSION, Message, ProtocolError, Result, encode
from apps.engine.process.signs import signs
from apps.engine.reporting.classify import Side, classify
from apps.engine.reporting.redaction import Redactor, redactor_of, redactor_of_payload
from apps.engine.sync.runner import Runner

if TYPE_CHECKING:
    from loguru import Message as LoguruMessage

MAX_REQUEST = 32 << 20  # bytes
MAX_LOG_MESSAGE = 8_000  # characters
EXIT_PARENT_GONE = 74  # EX_IOERR of sysexits.h

# The functions that can be called, and their modules.
CALLS = {
    "check": "apps.engine.connect",
    "discover": "apps.engine.connect",
    "preview": "apps.engine.connect",
    "validate": "apps.engine.authoring.calls",
    "validate_transform": "apps.engine.authoring.calls",
    "try_source": "apps.engine.trial",
    "read_repository": "apps.engine.repository",
    "unpack": "apps.engine.authoring.bundles",
}

_LEVELS: dict[str, LogLevel] = {
    "TRACE": "debug",
    "DEBUG": "debug",
    "WARNING": "warning",
    "ERROR": "error",
    "CRITICAL": "error",
}


class Channel:
    """The pipe to the supervisor. Lines are written whole, from whichever thread."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """Close the pipe: no message follows, so the reader need not wait for this process to exit."""
        with self._lock:
            os.close(self._fd)
            self._closed = True

    def send(self, message: Message) -> None:
        line = memoryview(encode(message))
        with self._lock:
            if self._closed:
                return  # A thread outlived the run.
            try:
                while line:
                    line = line[os.write(self._fd, line) :]
            except BrokenPipeError:
                os._exit(EXIT_PARENT_GONE)  # The reader is gone; the last checkpoint remains valid.


def serve(request_fd: int, events_fd: int) -> None:
    """Do the work that the request on `request_fd` asks for, reporting on `events_fd`. Returns when it is done."""
    channel = Channel(events_fd)
    stop = threading.Event()

    def asked_to_stop(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, asked_to_stop)
    try:
        request = _read_request(request_fd)
        confinement.limit(ChildLimits(**request["limits"]))
        if request["do"] == "run":
            _run(RunSpec.from_json(request["spec"]), channel, stop)
        else:
            _call(request["name"], request["payload"], channel)
    except Exception as error:  # outermost handler of the process
        channel.send(classify(error, side="state", redactor=Redactor()))
    _flush_standard_streams()
    channel.close()


def _run(spec: RunSpec, channel: Channel, stop: threading.Event) -> None:
    redactor = redactor_of(spec)
    _log_to(channel, redactor, spec.log_level)
    channel.send(Started(os.getpid()))
    signs.tell = channel.send
    traffic.moved = signs.moved

    def emit(event: Event) -> None:
        channel.send(event)

    outcome = Runner(spec, emit=emit, stop=stop, redactor=redactor).run()
    if isinstance(outcome, Failed):
        # How the attempt ended is logged by the worker, which knows why a child was stopped.
        for line in outcome.evidence:
            logger.error("{}", line)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    logger.bind(peak_memory_bytes=peak).debug("Peak memory: {:,} MB", peak // 1_000_000)
    channel.send(outcome)


def _call(name: str, payload: Mapping[str, Any], channel: Channel) -> None:
    redactor = redactor_of_payload(payload)
    _log_to(channel, redactor, "warning")
    try:
        answer = _callable(name)(payload)
    except Exception as error:  # outermost handler of the call
        side: Side = "destination" if payload.get("role") == "destination" else "source"
        channel.send(classify(error, side=side, redactor=redactor))
        return
    channel.send(Result(answer))


def _callable(name: str) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    if name not in CALLS:
        raise ProtocolError(f"There is no function {name!r}.")
    found: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    found = getattr(importlib.import_module(CALLS[name]), name)
    return found


def _read_request(fd: int) -> Mapping[str, Any]:
    parts, size = [], 0
    while part := os.read(fd, 1 << 16):
        parts.append(part)
        size += len(part)
        if size > MAX_REQUEST:
            raise ProtocolError(f"The request is larger than {MAX_REQUEST} bytes.")
    os.close(fd)
    request: Mapping[str, Any] = orjson.loads(b"".join(parts))
    if request.get("v") != VERSION:
        raise ProtocolError("The request has another protocol version.")
    return request


def _log_to(channel: Channel, redactor: Redactor, level: LogLevel) -> None:
    """Send everything that is logged in this process as `LogLine`s without secrets."""

    def say(name: str, text: str, fields: Mapping[str, Any]) -> None:
        channel.send(
            LogLine.now(
                _LEVELS.get(name, "info"),
                redactor.text(text)[:MAX_LOG_MESSAGE],
                redactor.value(fields),
            )
        )

    def from_loguru(message: LoguruMessage) -> None:
        record = message.record
        fields = dict(record["extra"])
        if record["exception"] is not None:
            fields["exception"] = repr(record["exception"].value)
        say(record["level"].name, record["message"], fields)

    logger.remove()
    logger.add(from_loguru, level=level.upper(), format="{message}")
    root = logging.getLogger()
    root.handlers[:] = [_Forward(say)]
    root.setLevel(max(logging.getLevelNamesMapping()[level.upper()], logging.WARNING))


class _Forward(logging.Handler):
    """Forwards records of standard logging as the same log lines."""

    def __init__(self, say: Any) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(record.levelname, record.getMessage(), {"logger": record.name})


def _flush_standard_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
