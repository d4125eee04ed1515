"""Read the records of a JSON API page by page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from math import ceil
from typing import Any, ClassVar
from urllib.parse import urlsplit

from bizon.source.models import SourceIncrementalState
from loguru import logger

from apps.engine.contract import CheckStep, FieldInfo, SizeEstimate, StreamInfo
from apps.engine.failures import (
    EXPECTED_ERRORS,
    AuthenticationError,
    ConfigurationError,
    SourceError,
)
from apps.engine.frames import json_numbers, json_values
from apps.engine.frames.decoding import StreamSchema
from apps.engine.library import failures, walk, watermarks
from apps.engine.sources.connector import (
    ConnectorSource,
    Pagination,
    SourcePage,
    rows_page,
    run_checks,
)
from apps.engine.sources.http import host_checks
from apps.engine.sources.http.responses import CompleteResponse, RetryingClient, RetryPolicy
from apps.engine.sources.http.session import SourceSession
from apps.engine.sources.rest.config import Config, Stream
from apps.engine.sources.rest.reading import ReadOptions, StreamReader, as_engine_error


class CursorRefused(ConfigurationError):
    """The values of the cursor field do not sort by time."""


class RestSource(ConnectorSource[Config]):
    """Reads one stream of the settings as plain records."""

    Config: ClassVar[type[Config]] = Config
    incremental: ClassVar[bool] = True
    _has_warned = False  # of values that cannot be cursors

    def check(self) -> Iterator[CheckStep]:
        address = urlsplit(self.settings.base_url)
        host = address.hostname or ""
        port = address.port or (443 if address.scheme == "https" else 80)
        allow_private, timeout = self.allow_private_networks, min(self.settings.timeout, 10.0)
        return run_checks(
            [
                *host_checks.steps(host, port, allow_private=allow_private, timeout=timeout),
                ("authenticate", self._check_authenticate),
                ("read", self._check_read),
            ]
        )

    def discover(self) -> list[StreamInfo]:
        return [self._stream_info(stream) for stream in self.settings.streams]

    def estimate_size(self) -> SizeEstimate:
        """Request the first page. It is the only page, or it may contain the total."""
        if self.stream.parent is not None:
            return SizeEstimate()
        page = self._first_page_of(self.stream)
        count = len(page.records)
        if not page.next_token:
            return SizeEstimate(count, 1, "the first page is the only page")
        if page.total is None or not count:
            return SizeEstimate()
        return SizeEstimate(page.total, ceil(page.total / count), "the total that the API reports")

    def get(self, pagination: Pagination = None) -> SourcePage:
        return self._read_page(pagination or {}, {})

    def get_records_after(
        self, source_state: SourceIncrementalState, pagination: Pagination = None
    ) -> SourcePage:
        return self._read_page(pagination or {}, source_state.state)

    def get_session(self) -> SourceSession:
        session = SourceSession(
            allow_private=self.allow_private_networks,
            timeout=(min(10.0, self.settings.timeout), self.settings.timeout),
        )
        session.headers.update({"Accept": "application/json", "User-Agent": "drover"})
        session.headers.update(self.settings.headers)
        return session

    @cached_property
    def stream(self) -> Stream:
        """Return the stream that this source reads. Raises ConfigurationError."""
        for stream in self.settings.streams:
            if stream.name == self.spec.stream:
                return stream
        stream_names = ", ".join(stream.name for stream in self.settings.streams)
        raise ConfigurationError(
            f"there is no stream {self.spec.stream!r}; the streams are {stream_names}"
        )

    @cached_property
    def client(self) -> RetryingClient:
        return RetryingClient(
            self.session,
            RetryPolicy(
                timeout=self.settings.timeout,
                retries=self.settings.retries,
                longest_wait=self.settings.longest_wait,
                max_bytes=self.settings.max_response_mb << 20,
            ),
        )

    def _read_page(self, token: Mapping[str, Any], state: Mapping[str, Any]) -> SourcePage:
        cursor = self._cursor_field()
        watermark = self._watermark(state)
        key = tuple(self.spec.primary_key or self.stream.primary_key)
        step = self._reader.read(self.stream, token, ReadOptions(watermark.value, key))
        if cursor is None:
            return rows_page(step.records, step.next_token)
        try:
            readings = cursor.read(step.records)
            watermark = cursor.with_kind(watermark, readings)
            previous = cursor.with_kind(self._mark(token, watermark), readings)
        except failures.SourceFailure as failure:
            raise as_engine_error(failure, ()) from failure
        self._warn_once(cursor.warning(previous, readings))
        new, mark_after = cursor.take_new(
            readings, watermark, previous, is_last=not step.next_token
        )
        records, mark = [reading.record for reading in new], mark_after.to_json()
        if step.next_token:
            return rows_page(records, {**step.next_token, "mark": mark})
        return rows_page(records, {}, {"cursor_field": cursor.path, **mark})

    def _warn_once(self, warning: str) -> None:
        if warning and not self._has_warned:
            self._has_warned = True
            logger.warning("{}", warning)

    def _mark(
        self, token: Mapping[str, Any], watermark: watermarks.Watermark
    ) -> watermarks.Watermark:
        """Return the watermark after the pages before this one."""
        return watermarks.Watermark.from_state(token["mark"]) if "mark" in token else watermark

    @cached_property
    def _reader(self) -> StreamReader:
        return StreamReader(self.settings, lambda: self.client, parse_json)

    def _first_page_of(self, stream: Stream) -> walk.Step:
        return self._reader.read(stream, {}, ReadOptions(primary_key=tuple(stream.primary_key)))

    def _cursor_field(self) -> watermarks.CursorField | None:
        path = self.spec.cursor_field or self.stream.cursor_field
        if self.spec.sync_mode != "incremental" or path is None:
            return None
        return watermarks.CursorField(path, tuple(self.spec.primary_key or self.stream.primary_key))

    def _watermark(self, state: Mapping[str, Any]) -> watermarks.Watermark:
        cursor = self._cursor_field()
        if cursor is None or not state:
            return watermarks.Watermark()
        if state.get("cursor_field") != cursor.path:
            raise ConfigurationError(
                f"the cursor field changed from {state.get('cursor_field')!r} to {cursor.path!r};"
                " reset the stream to read it by the new cursor field"
            )
        try:
            return watermarks.Watermark.from_state(state)
        except failures.SourceFailure as failure:
            raise as_engine_error(failure, ()) from failure

    def _stream_info(self, stream: Stream) -> StreamInfo:
        fields: tuple[FieldInfo, ...] = ()
        cursor_field = stream.cursor_field
        try:
            schema = StreamSchema()
            records = self._first_page_of(stream).records
            schema.decode(records[:100])
            fields = tuple(
                FieldInfo(name, column.field_type) for name, column in schema.columns.items()
            )
            self._require_sortable_cursor(stream.cursor_field, records)
        except AuthenticationError:
            raise
        except CursorRefused as error:
            logger.warning("{} cannot be read incrementally: {}", stream.name, error.message)
            cursor_field = None
        except EXPECTED_ERRORS as error:
            logger.warning("The fields of {} are not known: {}", stream.name, error.message)
        return StreamInfo(
            stream.name,
            fields,
            primary_key=tuple(stream.primary_key),
            cursor_fields=(cursor_field,) if cursor_field else (),
            sync_modes=("full_refresh", "incremental") if cursor_field else ("full_refresh",),
        )

    def _require_sortable_cursor(self, path: str | None, records: list[Any]) -> None:
        """Raise CursorRefused if the cursor field at the path has text that does not sort by time."""
        if path is None:
            return
        try:
            cursor = watermarks.CursorField(path)
            cursor.with_kind(watermarks.Watermark(), cursor.read(records))
        except failures.SourceFailure as failure:
            raise CursorRefused(str(failure), evidence=failure.evidence) from failure

    def _check_authenticate(self) -> str:
        try:
            self._first_page()
        except AuthenticationError:
            raise
        except EXPECTED_ERRORS as error:
            logger.debug("The credentials are not the cause of this failure: {}", error.message)
        auth_type = (self._checked_stream().auth or self.settings.auth).type
        if auth_type == "none":
            return "no credentials are sent"
        return f"the API accepts the {auth_type} login"

    def _check_read(self) -> str:
        stream, page = self._first_page()
        self._require_sortable_cursor(self.spec.cursor_field or stream.cursor_field, page.records)
        return f"{len(page.records):,} records in the first page of {stream.name}"

    def _first_page(self) -> tuple[Stream, walk.Step]:
        stream = self._checked_stream()
        return stream, self._first_page_of(stream)

    def _checked_stream(self) -> Stream:
        streams = self.settings.streams
        return next((stream for stream in streams if stream.name == self.spec.stream), streams[0])


def parse_json(response: CompleteResponse) -> Any:
    """Parse the response as JSON, with numbers of any size.

    Raises SourceError with the beginning of invalid content.
    """
    if not response.body.strip():
        raise SourceError("the source returned an empty body", evidence=response.evidence)
    json_values.require_few_values(response.body)
    try:
        return json_numbers.parse_json(response.body)
    except (ValueError, RecursionError) as error:
        reason = str(error)[:100]
        raise SourceError(
            "the source did not return complete JSON", evidence=(*response.evidence, reason)
        ) from error
