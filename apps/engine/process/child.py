"""The code of a forked child: read the request, run it, and send the result."""

from __future__ import annotations

import importlib
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, get_args

import orjson
from loguru import logger

from apps.egress.log import log as egress_log
from apps.egress.traffic import traffic
from apps.engine.contract import (
    ChildLimits,
    Event,
    Failed,
    LogLevel,
    LogLine,
    Outcome,
    RunSpec,
    Started,
    Succeeded,
)
from apps.engine.kept_connections import kept_connections
from apps.engine.process import confinement
from apps.engine.process.progress import progress
from apps.engine.process.protocol import VERSION, Message, ProtocolError, Ready, Result, encode
from apps.engine.reporting.classify import Side, classify
from apps.engine.reporting.redaction import Redactor, redactor_of, redactor_of_payload
from apps.engine.sync.runner import Runner

if TYPE_CHECKING:
    from loguru import Message as LoguruMessage

MAX_REQUEST_BYTES = 32 << 20  # bytes
MAX_LOG_MESSAGE = 8_000  # characters
REUSE_MEMORY = 200 << 20  # bytes; a child that has used more memory does not run another stream
EXIT_PARENT_GONE = 74  # EX_IOERR of sysexits.h

# The functions that can be called, and their modules.
CALLS = {
    "check": "apps.engine.connect",
    "discover": "apps.engine.connect",
    "estimate_sizes": "apps.engine.connect",
    "list_files": "apps.engine.connect",
    "plan_window": "apps.engine.connect",
    "preview": "apps.engine.connect",
    "validate": "apps.engine.authoring.calls",
    "validate_transform": "apps.engine.authoring.calls",
    "try_source": "apps.engine.trial",
    "read_repository": "apps.engine.repository",
    "unpack": "apps.engine.authoring.bundles",
}

# The functions whose result is valid until the child is stopped: they are context managers.
HOLDS = {"hold_snapshot": "apps.engine.connect"}

Function = Callable[[Mapping[str, Any]], Mapping[str, Any]]
SendLine = Callable[[str, str, Mapping[str, Any]], None]  # of a level's name, a text and fields

_LEVELS: dict[str, LogLevel] = {
    "TRACE": "debug",
    "DEBUG": "debug",
    "WARNING": "warning",
    "ERROR": "error",
    "CRITICAL": "error",
}


class Channel:
    """The pipe to the supervisor. Thread-safe: lines of different threads are not mixed."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """Close the pipe, so that the reader does not wait until this process exits."""
        with self._lock:
            os.close(self._fd)
            self._closed = True

    def send(self, message: Message) -> None:
        line = memoryview(encode(message))
        with self._lock:
            if self._closed:
                return  # A thread is still running after the end of the run.
            try:
                while line:
                    line = line[os.write(self._fd, line) :]
            except BrokenPipeError:
                # The supervisor has exited. The last checkpoint stays valid.
                os._exit(EXIT_PARENT_GONE)


def serve(request_fd: int, events_fd: int) -> None:
    """Read the request from `request_fd`, run it, and send events and the result to `events_fd`.

    If the request allows it, further requests follow: streams of the same run.
    """
    channel = Channel(events_fd)
    stop = threading.Event()

    def request_stop(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, request_stop)
    try:
        request = _read_request(request_fd)
        confinement.set_limits(ChildLimits(**request["limits"]))
        if not request.get("may_repeat"):
            os.close(request_fd)
        if request["do"] == "run":
            _run_attempts(request, request_fd, channel, stop)
        elif request["do"] == "hold":
            _run_hold(request, channel, stop)
        else:
            _run_call(request, channel)
    except Exception as error:  # outermost handler of the process
        channel.send(classify(error, side="state", redactor=Redactor()))
    _flush_standard_streams()
    channel.close()


def _run_attempts(
    request: Mapping[str, Any], request_fd: int, channel: Channel, stop: threading.Event
) -> None:
    """Run the stream of the request, and those of further requests while this process may be used again."""
    if request["may_repeat"]:
        kept_connections.start()
    redactor: Redactor | None = None
    while True:
        spec = RunSpec.from_json(request["spec"])
        redactor = redactor_of(spec, redactor)
        outcome = _run_attempt(spec, redactor, channel, stop)
        if not (request["may_repeat"] and _may_be_used_again(outcome)) or stop.is_set():
            return
        egress_log.clear()
        channel.send(Ready())
        try:
            request = _read_request(request_fd)
        except EOFError:
            return


def _may_be_used_again(outcome: Outcome) -> bool:
    """Whether this process is as good as a new one."""
    return isinstance(outcome, Succeeded) and _peak_memory() <= REUSE_MEMORY


def _peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _run_attempt(
    spec: RunSpec, redactor: Redactor, channel: Channel, stop: threading.Event
) -> Outcome:
    _send_logs_to(channel, redactor, spec.log_level)
    channel.send(Started(os.getpid()))
    progress.send = channel.send
    traffic.report_transfer = progress.report

    def emit(event: Event) -> None:
        channel.send(event)

    outcome = Runner(spec, emit=emit, stop=stop, redactor=redactor).run()
    if isinstance(outcome, Failed):
        # The worker logs how the attempt ended, because it knows why a child was stopped.
        for line in outcome.evidence:
            logger.error("{}", line)
    peak_memory = _peak_memory()
    logger.bind(peak_memory_bytes=peak_memory).debug(
        "Peak memory: {:,} MB", peak_memory // 1_000_000
    )
    _flush_standard_streams()
    channel.send(outcome)
    return outcome


def _run_call(request: Mapping[str, Any], channel: Channel) -> None:
    payload: Mapping[str, Any] = request["payload"]
    with _sending_failure(payload, channel):
        channel.send(Result(_find_function(request["name"], request.get("module"))(payload)))


def _run_hold(request: Mapping[str, Any], channel: Channel, stop: threading.Event) -> None:
    """Send the result, and keep what the function has opened until the supervisor stops this child."""
    payload: Mapping[str, Any] = request["payload"]
    hold = getattr(importlib.import_module(HOLDS[request["name"]]), request["name"])
    with _sending_failure(payload, channel), hold(payload) as result:
        channel.send(Result(result))
        stop.wait()


@contextmanager
def _sending_failure(payload: Mapping[str, Any], channel: Channel) -> Iterator[None]:
    """Send the logs of a call, and its exception as a failure."""
    redactor = redactor_of_payload(payload)
    _send_logs_to(channel, redactor, "warning")
    try:
        yield
    except Exception as error:  # outermost handler of the call
        side: Side = "destination" if payload.get("role") == "destination" else "source"
        channel.send(classify(error, side=side, redactor=redactor))


def _find_function(name: str, module: str | None) -> Function:
    """Return the function of CALLS, or of the module of another app. The owner of the fork server names the module."""
    if module is None and name not in CALLS:
        raise ProtocolError(f"There is no function {name!r}.")
    function: Function = getattr(importlib.import_module(module or CALLS[name]), name)
    return function


def _read_request(fd: int) -> Mapping[str, Any]:
    """Read one line. Raises EOFError if there is none, and ProtocolError."""
    parts: list[bytes] = []
    size = 0
    while not (parts and parts[-1].endswith(b"\n")):
        part = os.read(fd, 1 << 16)
        if not part:
            raise EOFError("There is no request.")
        parts.append(part)
        size += len(part)
        if size > MAX_REQUEST_BYTES:
            raise ProtocolError(f"The request is larger than {MAX_REQUEST_BYTES} bytes.")
    request: Mapping[str, Any] = orjson.loads(b"".join(parts))
    if request.get("v") != VERSION:
        raise ProtocolError("The request has another protocol version.")
    return request


class _LogForwarder:
    """Receives the log messages of loguru. loguru needs 5 ms to add a handler, so the fork server adds them.

    There is a handler for each level. A child keeps the handler of its level.
    """

    def __init__(self) -> None:
        self._send_line: SendLine | None = None
        self._handlers: dict[LogLevel, int] = {}

    def add_handlers(self) -> None:
        logger.remove()
        for level in get_args(LogLevel):
            self._handlers[level] = logger.add(
                self._forward, level=level.upper(), format="{message}"
            )

    def start(self, send_line: SendLine, level: LogLevel) -> None:
        """Pass messages of this level and higher ones to `send_line`."""
        if not self._handlers:
            self.add_handlers()
        self._send_line = send_line
        for each_level in self._handlers.keys() - {level}:
            logger.remove(self._handlers.pop(each_level))

    def _forward(self, message: LoguruMessage) -> None:
        if self._send_line is None:
            return
        record = message.record
        fields = dict(record["extra"])
        if record["exception"] is not None:
            fields["exception"] = repr(record["exception"].value)
        self._send_line(record["level"].name, record["message"], fields)


log_forwarder = _LogForwarder()


def _send_logs_to(channel: Channel, redactor: Redactor, level: LogLevel) -> None:
    """Send all log messages of this process as `LogLine`s without secrets."""

    def send_line(level_name: str, text: str, fields: Mapping[str, Any]) -> None:
        channel.send(
            LogLine.now(
                _LEVELS.get(level_name, "info"),
                redactor.mask_text(text)[:MAX_LOG_MESSAGE],
                redactor.mask_value(fields),
            )
        )

    log_forwarder.start(send_line, level)
    root = logging.getLogger()
    root.handlers[:] = [_ForwardHandler(send_line)]
    root.setLevel(max(logging.getLevelNamesMapping()[level.upper()], logging.WARNING))


class _ForwardHandler(logging.Handler):
    """Sends the records of the standard library's logging as log lines."""

    def __init__(self, send_line: Any) -> None:
        super().__init__()
        self._send_line = send_line

    def emit(self, record: logging.LogRecord) -> None:
        self._send_line(record.levelname, record.getMessage(), {"logger": record.name})


def _flush_standard_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
