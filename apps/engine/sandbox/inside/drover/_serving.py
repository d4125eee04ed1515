"""Process the supervisor's requests to the source: one JSON line in, JSON lines out.

in:  {"op": "streams"} | {"op": "check", ...} | {"op": "page", ...} | {"op": "transform", ...}
out: {"t": "ready"} once; then for each request any number of {"t": "log"}, {"t": "request"} and
     {"t": "rows", "rows": [...], "types": {...}}, and one {"t": "answer", ...} or {"t": "error", ...}.
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
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import orjson

from drover import _contract, _imports, _requests, _typed

ROWS_IN_A_LINE = 500
LINE = 1 << 20  # approximate bytes of a line of rows
FILE_NAME = "source.py"
TRACE_LINES = 8

Json = dict[str, Any]


class Output:
    """Writes lines to the supervisor. Each line is written whole, from whichever thread."""

    def __init__(self, fd: int) -> None:
        self._file = os.fdopen(fd, "wb", buffering=1 << 18)
        self._lock = threading.Lock()

    def say(self, kind: str, *, flush: bool = True, **values: Any) -> None:
        line = encoded({"t": kind, **values})
        with self._lock:
            self._file.write(line + b"\n")
            if flush:
                self._file.flush()

    def rows(self, rows: Iterable[Any]) -> int:
        """Write all rows, several per line. Returns the number of rows."""
        count = 0
        left = map(_contract.plain, rows)
        while chunk := list(itertools.islice(left, ROWS_IN_A_LINE)):
            self._rows(chunk)
            count += len(chunk)
        return count

    def _rows(self, chunk: list[Json]) -> None:
        types = _typed.tags(chunk)
        line = encoded({"t": "rows", "rows": _typed.written(chunk, types), "types": types})
        if len(line) > LINE and len(chunk) > 1:
            half = len(chunk) // 2
            self._rows(chunk[:half])
            self._rows(chunk[half:])
            return
        with self._lock:
            self._file.write(line + b"\n")


def encoded(value: Any) -> bytes:
    try:
        return orjson.dumps(value, default=_contract.simple, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, orjson.JSONEncodeError):
        return orjson.dumps(_contract.printable(value))


class LogLines(logging.Handler):
    """Sends the source's log records as log lines of the run."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        self._output.say("log", level=record.levelname.lower(), message=record.getMessage()[:8000])


def serve(requests: BinaryIO, spec: Json) -> None:
    """Process requests until there are no more. Never returns."""
    output = Output(spec["output_fd"])
    sys.stdin = io.StringIO("")
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    logging.basicConfig(level=logging.INFO, handlers=[LogLines(output)])
    for noisy in ("urllib3", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    _imports.explain(spec["packages"])
    _requests.watch(lambda **seen: output.say("request", **seen))
    code = spec.pop("code")
    output.say("ready", layers=spec["layers"])
    spec.clear()
    served: Served | None = None
    for line in requests:
        try:
            if served is None:
                served = Served(_loaded(code), output)
            served.answer(orjson.loads(line))
        except BaseException as error:
            output.say("error", **_contract.explained(error, _trace(error)))
    sys.stdout.flush()
    os._exit(0)


def _loaded(code: str) -> types.ModuleType:
    module = types.ModuleType("source")
    module.__file__ = FILE_NAME
    sys.modules["source"] = module
    linecache.cache[FILE_NAME] = (len(code), None, code.splitlines(keepends=True), FILE_NAME)
    exec(compile(code, FILE_NAME, "exec"), module.__dict__)  # noqa: S102 - this is what we are for
    return module


class Served:
    """A source, created when it is first needed."""

    def __init__(self, module: types.ModuleType, output: Output) -> None:
        self._module = module
        self._output = output
        self._source: Any = None

    def answer(self, request: Json) -> None:
        operation = getattr(self, f"_{request.pop('op')}")
        self._output.say("answer", **operation(**request))

    def _streams(self) -> Json:
        made = _contract.source_class(self._module)
        return {"streams": _contract.streams_of(made)}

    def _check(self, bound: Json) -> Json:
        ok, message = _contract.checked(self._bound(bound))
        return {"ok": ok, "message": message}

    def _total(self, bound: Json) -> Json:
        total = self._bound(bound).get_total_records_count()
        return {"total": total if isinstance(total, int) else None}

    def _page(
        self, bound: Json, pagination: Json | None, since: Json | None, limit: int | None
    ) -> Json:
        page = _contract.page(self._bound(bound), pagination, since)
        count = self._output.rows(_limited(page.rows, limit))
        return {"rows": count, "next": page.next_pagination, "state": page.next_state}

    def _transform(self, rows: list[Json], types: dict[str, str]) -> Json:
        function = _contract.transform_of(self._module)
        made = _contract.transformed(function, _typed.restored(rows, types))
        return {"rows": self._output.rows(made)}

    def _bound(self, bound: Json) -> Any:
        if self._source is None:
            made = _contract.source_class(self._module)
            self._source = _contract.instance(made, **bound)
        return self._source


def _limited(rows: Iterable[Any], limit: int | None) -> Iterator[Any]:
    for number, row in enumerate(rows):
        if limit is not None and number >= limit:
            return
        yield row


def _trace(error: BaseException) -> tuple[list[str], int | None]:
    """Return the lines of the user's code that led to the error, and the number of the last one."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == FILE_NAME]
    lines = [f"{FILE_NAME}, line {f.lineno}, in {f.name}: {f.line}" for f in own[-TRACE_LINES:]]
    if isinstance(error, SyntaxError) and error.filename == FILE_NAME:
        return [f"{FILE_NAME}, line {error.lineno}: {(error.text or '').strip()}"], error.lineno
    return lines, own[-1].lineno if own else None
