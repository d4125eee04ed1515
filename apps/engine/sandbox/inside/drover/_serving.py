"""Process the requests of the supervisor to the source. Requests and messages are JSON lines.

A message of rows and a request to transform begin with `"exact": true` if orjson would change one of their values.

requests: {"op": "streams"} | {"op": "check", ...} | {"op": "total", ...} | {"op": "page", ...} |
          {"op": "transform", ...}
messages: {"t": "ready"} once, then for each request any number of {"t": "log"}, {"t": "request"} and
          {"t": "rows", "rows": [...], "types": {...}}, and at the end {"t": "answer", ...} or {"t": "error", ...}.
"""

from __future__ import annotations

import io
import itertools
import linecache
import logging
import os
import sys
import threading
import traceback
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import orjson

from drover import _contract, _imports, _numbers, _requests, _type_tags

MAX_ROWS_PER_LINE = 500
MAX_LINE_BYTES = 1 << 20  # bytes of a line with several rows
PLAIN_ROWS, MARKED_ROWS = b'{"t":"rows",', b'{"t":"rows","exact":true,'
MARKED_REQUEST = b'{"op":"transform","exact":true,'
FILE_NAME = "source.py"
TRACE_LINES = 8  # lines of a traceback that the evidence shows

Json = dict[str, Any]


class Output:
    """Writes lines to the supervisor. Thread-safe: lines of different threads are not mixed."""

    def __init__(self, fd: int) -> None:
        self._file = os.fdopen(fd, "wb", buffering=1 << 18)
        self._lock = threading.Lock()

    def send(self, message_type: str, *, flush: bool = True, **values: Any) -> None:
        line = encode({"t": message_type, **values})
        with self._lock:
            self._file.write(line + b"\n")
            if flush:
                self._file.flush()

    def send_rows(self, rows: Iterable[Any]) -> int:
        """Write all rows, several per line, and return the number of rows."""
        count = 0
        remaining_rows = map(_contract.record_dict, rows)
        while chunk := list(itertools.islice(remaining_rows, MAX_ROWS_PER_LINE)):
            self._send_chunk(chunk)
            count += len(chunk)
        return count

    def _send_chunk(self, chunk: list[Json]) -> None:
        types, mixed_columns = _type_tags.column_tags(chunk)
        line = encode_rows(_type_tags.encode_rows(chunk, types, mixed_columns), types)
        if len(line) > MAX_LINE_BYTES and len(chunk) > 1:
            half = len(chunk) // 2
            self._send_chunk(chunk[:half])
            self._send_chunk(chunk[half:])
            return
        with self._lock:
            self._file.write(line + b"\n")


def encode_rows(rows: Sequence[Mapping[str, Any]], types: dict[str, str]) -> bytes:
    """Return the message for the rows, marked if it has values that orjson would change."""
    encoder = _contract.RowEncoder()
    message = {"t": "rows", "rows": rows, "types": types}
    try:
        line = orjson.dumps(message, default=encoder.to_json_value, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, orjson.JSONEncodeError):
        line = orjson.dumps(encoder.to_exact_json(message))
    else:
        # orjson writes null for NaN and infinities.
        if b"null" in line and _numbers.has_non_finite(rows):
            line = orjson.dumps(encoder.to_exact_json(message))
    return MARKED_ROWS + line.removeprefix(PLAIN_ROWS) if encoder.fragments else line


def encode(value: Any) -> bytes:
    try:
        return orjson.dumps(value, default=_contract.to_json_value, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, orjson.JSONEncodeError):
        return orjson.dumps(_contract.to_json_safe(value))


class LogLineHandler(logging.Handler):
    """Sends the log records of the source as log lines of the run."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        self._output.send("log", level=record.levelname.lower(), message=record.getMessage()[:8000])


def serve(requests: BinaryIO, spec: Json) -> None:
    """Process requests until the input ends. Never returns."""
    output = Output(spec["output_fd"])
    sys.stdin = io.StringIO("")
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    logging.basicConfig(level=logging.INFO, handlers=[LogLineHandler(output)])
    for logger_name in ("urllib3", "httpx", "httpcore"):
        logging.getLogger(logger_name).setLevel(logging.WARNING)
    _imports.explain_unavailable_modules(spec["packages"])
    _numbers.keep_numbers_of_responses()
    _requests.report_requests(lambda **request_fields: output.send("request", **request_fields))
    source_code = spec.pop("code")
    output.send("ready", layers=spec["layers"])
    spec.clear()
    source_server: SourceServer | None = None
    for line in requests:
        try:
            if source_server is None:
                source_server = SourceServer(_load_module(source_code), output)
            is_marked = line.startswith(MARKED_REQUEST)
            source_server.process(_numbers.loads(line) if is_marked else orjson.loads(line))
        except BaseException as error:
            output.send("error", **_contract.describe_error(error, _user_code_trace(error)))
    sys.stdout.flush()
    os._exit(0)


def _load_module(source_code: str) -> types.ModuleType:
    module = types.ModuleType("source")
    module.__file__ = FILE_NAME
    sys.modules["source"] = module
    linecache.cache[FILE_NAME] = (
        len(source_code),
        None,
        source_code.splitlines(keepends=True),
        FILE_NAME,
    )
    exec(compile(source_code, FILE_NAME, "exec"), module.__dict__)  # noqa: S102 - the sandbox exists to run this code
    return module


class SourceServer:
    """Calls the operations of a source, which is created when it is first used."""

    def __init__(self, module: types.ModuleType, output: Output) -> None:
        self._module = module
        self._output = output
        self._source: Any = None

    def process(self, request: Json) -> None:
        operation = getattr(self, f"_{request.pop('op')}")
        self._output.send("answer", **operation(**request))

    def _streams(self) -> Json:
        source_class = _contract.find_source_class(self._module)
        return {"streams": _contract.list_streams(source_class)}

    def _check(self, source_settings: Json) -> Json:
        is_ok, message = _contract.check_connection(self._get_source(source_settings))
        return {"ok": is_ok, "message": message}

    def _total(self, source_settings: Json) -> Json:
        total = self._get_source(source_settings).get_total_records_count()
        return {"total": total if isinstance(total, int) else None}

    def _page(
        self, source_settings: Json, pagination: Json | None, since: Json | None, limit: int | None
    ) -> Json:
        page = _contract.get_page(self._get_source(source_settings), pagination, since)
        _contract.require_unicode([page.next_pagination, page.next_state])
        count = self._output.send_rows(_first_rows(page.rows, limit))
        return {"rows": count, "next": page.next_pagination, "state": page.next_state}

    def _transform(self, rows: list[Json], types: dict[str, str], exact: bool = False) -> Json:
        function = _contract.find_transform(self._module)
        skipped: list[int] = []
        transformed_rows = _contract.transform_rows(
            function, _type_tags.decode_rows(rows, types), skipped
        )
        return {"rows": self._output.send_rows(transformed_rows), "skipped": skipped}

    def _get_source(self, source_settings: Json) -> Any:
        if self._source is None:
            source_class = _contract.find_source_class(self._module)
            self._source = _contract.create_source(source_class, **source_settings)
        return self._source


def _first_rows(rows: Iterable[Any], limit: int | None) -> Iterator[Any]:
    for number, row in enumerate(rows):
        if limit is not None and number >= limit:
            return
        yield row


def _user_code_trace(error: BaseException) -> tuple[list[str], int | None]:
    """Return the lines of the user's code in the traceback, and the number of the last of them."""
    frames = traceback.extract_tb(error.__traceback__)
    user_code_frames = [frame for frame in frames if frame.filename == FILE_NAME]
    lines = [
        f"{FILE_NAME}, line {f.lineno}, in {f.name}: {f.line}"
        for f in user_code_frames[-TRACE_LINES:]
    ]
    if isinstance(error, SyntaxError) and error.filename == FILE_NAME:
        return [f"{FILE_NAME}, line {error.lineno}: {(error.text or '').strip()}"], error.lineno
    return lines, user_code_frames[-1].lineno if user_code_frames else None
