"""Wrap one of bizon's own sources as one of ours."""

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
from apps.engine.failures import EXPECTED, ConfigurationError, EngineError, SourceError
from apps.engine.frames.decoding import StreamSchema
from apps.engine.sources.bizon.guard import Watch, answer_of, under_policy
from apps.engine.sources.connector import (
    ConnectorSource,
    Pagination,
    SettingsT,
    SourcePage,
    checked,
    rows_page,
)
from apps.engine.sources.http.answers import UnhelpfulSourceError
from apps.json import JsonValue

Answered = TypeVar("Answered")

UNEXPECTED = (LookupError, TypeError, AttributeError, ValueError, AssertionError)


class BizonSource(ConnectorSource[SettingsT]):
    """Delegates to `origin`, under our egress policy, and converts its failures."""

    origin: ClassVar[type[AbstractSource]]
    reads_to_check: ClassVar[bool] = (
        False  # Skip bizon's own check, which sends no request to the API.
    )

    @classmethod
    def streams(cls) -> list[str]:
        return list(cls.origin.streams())

    def check(self) -> Iterator[CheckStep]:
        steps = [("connect", self._check_connect)]
        if self.reads_to_check:
            steps.append(("read", self._check_read))
        return checked(steps)

    def discover(self) -> list[StreamInfo]:
        return [
            StreamInfo(name, self._fields(name), sync_modes=self.sync_modes(name))
            for name in self.streams()
        ]

    def get_total_records_count(self) -> int | None:
        return self._asking(lambda: self.inner.get_total_records_count())

    def get(self, pagination: Pagination = None) -> SourcePage:
        return self._page(lambda: self.inner.get(pagination=pagination or {}))

    def get_records_after(
        self, source_state: SourceIncrementalState, pagination: Pagination = None
    ) -> SourcePage:
        return self._page(
            lambda: self.inner.get_records_after(source_state, pagination=pagination or {})
        )

    def close(self) -> None:
        if "inner" in self.__dict__:
            self.inner.session.close()
        super().close()

    @cached_property
    def watch(self) -> Watch:
        return Watch()

    @cached_property
    def inner(self) -> AbstractSource:
        """Create bizon's source, which may already send requests. Raises EngineError."""
        guarded = under_policy(
            self.origin, allow_private=self.allow_private_networks, watch=self.watch
        )
        config = self._bizon_config()
        made: AbstractSource = self._asking(lambda: guarded(config))
        return made

    def bizon_settings(self) -> dict[str, JsonValue]:
        """Convert our settings to those of bizon's source."""
        return self.settings.model_dump(exclude_none=True)

    def tolerates_gaps(self) -> bool:
        """Whether failed requests that bizon's source ignored are only logged as warnings."""
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
            return self.origin.get_config_class().model_validate(values)
        except ValidationError as error:
            issues = error.errors(include_input=False, include_context=False, include_url=False)
            lines = tuple(f"{'.'.join(map(str, i['loc']))}: {i['msg']}" for i in issues[:10])
            raise ConfigurationError("the settings are not valid", evidence=lines) from None

    def _page(self, ask: Callable[[], Any]) -> SourcePage:
        answer = self._asking(ask)
        if (
            isinstance(answer, tuple) and len(answer) == 2
        ):  # an older return type that 0.6.4 still uses
            return rows_page(list(answer[1]), answer[0])
        if not isinstance(answer, SourceIteration):
            raise UnhelpfulSourceError(f"{self.spec.kind} returned no page")
        rows = [record.data for record in answer.records]
        return rows_page(rows, answer.next_pagination, answer.next_state)

    def _asking(self, ask: Callable[[], Answered]) -> Answered:
        """Run a call. Raises EngineError for exceptions, and for failed requests that bizon ignored."""
        self.watch.begin()
        try:
            answer = ask()
        except EXPECTED:
            raise
        except requests.exceptions.JSONDecodeError as error:
            raise self._misunderstood("the source did not return complete JSON") from error
        except requests.RequestException as error:
            raise self.watch.explained(error) from error
        except UNEXPECTED as error:
            raise self._misunderstood(
                f"the response of the source is not as expected ({type(error).__name__})"
            ) from error
        self._report_hidden_failures()
        return answer

    def _misunderstood(self, message: str) -> EngineError:
        failure = self.watch.failure()
        if failure is not None:
            return failure
        last = self.watch.last
        return SourceError(message, evidence=answer_of(last).evidence if last is not None else ())

    def _report_hidden_failures(self) -> None:
        failure = self.watch.failure()
        if failure is None:
            return
        if not self.tolerates_gaps():
            raise failure
        for failed in self.watch.failed:
            error = self.watch.explained(failed)
            logger.warning(
                "Ignored a failed request: {} {}", error.message, " | ".join(error.evidence)
            )

    def _fields(self, stream: str) -> tuple[FieldInfo, ...]:
        """Return the fields of the bound stream; those of other streams are not requested."""
        if stream != self.spec.stream:
            return ()
        schema = StreamSchema()
        page: Any = self.get()
        schema.decode(page.rows[:100])
        return tuple(FieldInfo(name, column.field_type) for name, column in schema.columns.items())

    def _check_connect(self) -> str:
        ok, message = self._asking(lambda: self.inner.check_connection())
        if not ok:
            raise SourceError(
                f"{self.spec.kind} reports that it cannot connect", evidence=(str(message)[:300],)
            )
        return "the settings are accepted" if not self.reads_to_check else "ready to send requests"

    def _check_read(self) -> str:
        page: Any = self.get()
        return f"{len(page.rows):,} records in the first page"
