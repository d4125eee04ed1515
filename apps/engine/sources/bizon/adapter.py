"""Adapt bizon's own sources to the interface of our sources."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import requests
from bizon.source.models import SourceIncrementalState, SourceIteration
from bizon.source.source import AbstractSource
from loguru import logger
from pydantic import ValidationError

from apps.engine.contract import CheckStep, FieldInfo, StreamInfo
from apps.engine.failures import EXPECTED_ERRORS, ConfigurationError, EngineError, SourceError
from apps.engine.frames.decoding import StreamSchema
from apps.engine.reporting import setting_problems
from apps.engine.sources.bizon.guard import RequestLog, guarded_class, to_complete_response
from apps.engine.sources.connector import (
    ConnectorSource,
    Pagination,
    SettingsT,
    SourcePage,
    rows_page,
    run_checks,
)
from apps.engine.sources.http.responses import PermanentSourceError
from apps.json import JsonValue

ResultT = TypeVar("ResultT")

UNEXPECTED_RESPONSE_ERRORS = (LookupError, TypeError, AttributeError, ValueError, AssertionError)


class BizonSource(ConnectorSource[SettingsT]):
    """Delegates to one of bizon's sources (`bizon_class`) under our egress policy, and converts its failures."""

    bizon_class: ClassVar[type[AbstractSource]]
    # Whether the check also reads a page, because bizon's own check sends no request to the API.
    check_reads_page: ClassVar[bool] = False

    @classmethod
    def streams(cls) -> list[str]:
        return list(cls.bizon_class.streams())

    def check(self) -> Iterator[CheckStep]:
        steps = [("connect", self._check_connect)]
        if self.check_reads_page:
            steps.append(("read", self._check_read))
        return run_checks(steps)

    def discover(self) -> list[StreamInfo]:
        return [
            StreamInfo(name, self._stream_fields(name), sync_modes=self.sync_modes(name))
            for name in self.streams()
        ]

    def get_total_records_count(self) -> int | None:
        return self._call(lambda: self.bizon_source.get_total_records_count())

    def get(self, pagination: Pagination = None) -> SourcePage:
        return self._read_page(lambda: self.bizon_source.get(pagination=pagination or {}))

    def get_records_after(
        self, source_state: SourceIncrementalState, pagination: Pagination = None
    ) -> SourcePage:
        return self._read_page(
            lambda: self.bizon_source.get_records_after(source_state, pagination=pagination or {})
        )

    def close(self) -> None:
        if "bizon_source" in self.__dict__:
            self.bizon_source.session.close()
        super().close()

    @cached_property
    def request_log(self) -> RequestLog:
        return RequestLog()

    @cached_property
    def bizon_source(self) -> AbstractSource:
        """Create bizon's source, which may already send requests. Raises EngineError."""
        source_class = guarded_class(
            self.bizon_class,
            allow_private=self.allow_private_networks,
            request_log=self.request_log,
        )
        config = self._bizon_config()
        source: AbstractSource = self._call(lambda: source_class(config))
        return source

    def bizon_settings(self) -> dict[str, JsonValue]:
        """Convert our settings to those of bizon's source."""
        return self.settings.model_dump(exclude_none=True)

    def tolerates_gaps(self) -> bool:
        """Whether failed requests that bizon's source ignored are logged as warnings instead of failing the page."""
        return False

    def _bizon_config(self) -> Any:
        values: Mapping[str, Any] = {
            **self.bizon_settings(),
            "name": self.spec.kind,
            "stream": self.spec.stream or next(iter(self.streams()), "any"),
            "sync_mode": self.spec.sync_mode,
            "cursor_field": self.spec.cursor_field,
        }
        try:
            return self.bizon_class.get_config_class().model_validate(values)
        except ValidationError as error:
            issues = error.errors(include_input=False, include_context=False, include_url=False)
            lines = setting_problems.describe(issues)
            raise ConfigurationError("the settings are not valid", evidence=lines) from None

    def _read_page(self, get_page: Callable[[], Any]) -> SourcePage:
        page = self._call(get_page)
        if isinstance(page, tuple) and len(page) == 2:  # An older return type, still in use.
            return rows_page(list(page[1]), page[0])
        if not isinstance(page, SourceIteration):
            raise PermanentSourceError(f"{self.spec.kind} returned no page")
        rows = [record.data for record in page.records]
        return rows_page(rows, page.next_pagination, page.next_state)

    def _call(self, function: Callable[[], ResultT]) -> ResultT:
        """Call bizon. Raises EngineError for exceptions, and for failed requests that bizon ignored."""
        self.request_log.clear()
        try:
            result = function()
        except EXPECTED_ERRORS:
            raise
        except requests.exceptions.JSONDecodeError as error:
            raise self._unexpected_response("the source did not return complete JSON") from error
        except requests.RequestException as error:
            raise self.request_log.convert(error) from error
        except UNEXPECTED_RESPONSE_ERRORS as error:
            raise self._unexpected_response(
                f"the response of the source is not as expected ({type(error).__name__})"
            ) from error
        self._report_hidden_failures()
        return result

    def _unexpected_response(self, message: str) -> EngineError:
        failure = self.request_log.failure()
        if failure is not None:
            return failure
        last_response = self.request_log.last_response
        return SourceError(
            message,
            evidence=to_complete_response(last_response).evidence
            if last_response is not None
            else (),
        )

    def _report_hidden_failures(self) -> None:
        failure = self.request_log.failure()
        if failure is None:
            return
        if not self.tolerates_gaps():
            raise failure
        for failed_request in self.request_log.failed_requests:
            error = self.request_log.convert(failed_request)
            logger.warning(
                "Ignored a failed request: {} {}", error.message, " | ".join(error.evidence)
            )

    def _stream_fields(self, stream: str) -> tuple[FieldInfo, ...]:
        """Return the fields of the stream if this source reads it. Empty for other streams, which are not requested."""
        if stream != self.spec.stream:
            return ()
        schema = StreamSchema()
        page: Any = self.get()
        schema.decode(page.rows[:100])
        return tuple(FieldInfo(name, column.field_type) for name, column in schema.columns.items())

    def _check_connect(self) -> str:
        ok, message = self._call(lambda: self.bizon_source.check_connection())
        if not ok:
            raise SourceError(
                f"{self.spec.kind} reports that it cannot connect", evidence=(str(message)[:300],)
            )
        return (
            "the settings are accepted" if not self.check_reads_page else "ready to send requests"
        )

    def _check_read(self) -> str:
        page: Any = self.get()
        return f"{len(page.rows):,} records in the first page"
