"""Apply a user's Python function `transform(record)` to records, in a sandbox without network access."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import orjson
from bizon.source.models import SourceIteration
from loguru import logger

from apps.engine.contract import CodeSpec, SandboxSpec
from apps.engine.failures import ContractError, EngineError, FailureClass
from apps.engine.frames.values import Unrepresentable, text
from apps.engine.sandbox import typed
from apps.engine.sandbox.limits import BrokenOutput, Limits
from apps.engine.sandbox.process import SandboxSite
from apps.engine.sandbox.session import Callbacks, Sandbox
from apps.engine.sources.base import FrameIteration, RowsIteration
from apps.engine.sources.connector import rows_page
from apps.engine.sources.custom.source import LEVELS

SLICE = 2_000  # records sent at once

Row = dict[str, Any]


class TransformFailed(ContractError):
    """The transform raised or exceeded a limit: a record or the code is wrong."""


class Transform:
    """Uses one sandbox from creation to `close`. The sandbox ends with the thread that creates this object.

    A page without records is not changed, and neither are non-objects among the records: the stream's schema
    rejects them. NaN and infinities become None, since JSON cannot represent them.
    """

    def __init__(self, code: CodeSpec, sandbox: SandboxSpec) -> None:
        self.received = self.made = 0  # records
        self._sandbox = Sandbox(
            code.text,
            ground=SandboxSite(sandbox.home, sandbox.least),
            limits=Limits.from_json(sandbox.limits),
            heard=Callbacks(log=_log),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def apply(self, page: SourceIteration) -> SourceIteration:
        """Return the page with its records transformed. Raises EngineError."""
        made: list[Any] = []
        for rows, types in _slices(page):
            records = [row for row in rows if isinstance(row, Mapping)]
            made += [row for row in rows if not isinstance(row, Mapping)]
            types = typed.tags_of_rows(records) if types is None else types
            made += self._transformed(records, types)
        if not made and isinstance(page, FrameIteration) and not page.frame.height:
            return page  # An empty stream still has columns.
        return rows_page(made, page.next_pagination, page.next_state)

    def conclude(self) -> None:
        """Call after the last page. Raises EngineError if the code exceeded a limit, and logs the totals."""
        try:
            self._sandbox.conclude()
        except EngineError as error:
            raise _as_transform(error) from error
        logger.info("The transform returned {:,} records for {:,}", self.made, self.received)

    def close(self) -> None:
        self._sandbox.close()

    def _transformed(self, records: Sequence[Mapping[str, Any]], types: Mapping[str, str]) -> Any:
        if not records:
            return []
        try:
            answer = self._sandbox.ask("transform", rows=_json(records), types=types)
        except EngineError as error:
            raise _as_transform(error) from error
        if answer.values.get("rows") != len(answer.rows):
            raise BrokenOutput(
                "The transform returned another number of records than it announced."
            )
        self.received += len(records)
        self.made += len(answer.rows)
        return answer.rows


def _log(level: str, message: str) -> None:
    logger.bind(by="transform").log(LEVELS.get(level, "INFO"), "{}", message)


def _slices(page: SourceIteration) -> Iterator[tuple[Sequence[Any], Mapping[str, str] | None]]:
    """Yield a page's records in slices, with the types of a frame's columns that JSON lacks."""
    if isinstance(page, FrameIteration):
        types = typed.tags_of(page.frame)
        for part in page.frame.iter_slices(SLICE):
            yield part.to_dicts(), types
        return
    rows = page.rows if isinstance(page, RowsIteration) else page.records
    for start in range(0, len(rows), SLICE):
        yield [getattr(row, "data", row) for row in rows[start : start + SLICE]], None


def _json(records: Sequence[Mapping[str, Any]]) -> orjson.Fragment:
    options = orjson.OPT_NON_STR_KEYS
    try:
        return orjson.Fragment(orjson.dumps(records, default=_word, option=options))
    except TypeError:  # including integers of more than 64 bits
        plain = [{name: _exact(value) for name, value in row.items()} for row in records]
        return orjson.Fragment(orjson.dumps(plain, default=_word, option=options))


def _word(value: Any) -> str:
    """Convert values that JSON lacks: bytes to base64, everything else to its exact text."""
    return b64encode(value).decode() if isinstance(value, bytes) else text(value)


def _exact(value: Any) -> Any:
    try:
        orjson.dumps(value, default=_word, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        try:
            return text(value).encode("utf-8", "replace").decode()
        except Unrepresentable as error:
            raise TransformFailed(f"A record cannot be sent to the transform: {error}.") from error
    return value


def _as_transform(error: EngineError) -> EngineError:
    """Convert failures in the sandbox to failures of the transform, because they are not the source's."""
    if error.failure_class is not FailureClass.SOURCE:
        return error
    message = error.message.replace("The code", "The transform", 1)
    return TransformFailed(message, evidence=error.evidence)
