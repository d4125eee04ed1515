"""The trusted side of a custom source: it requests pages from the sandbox, and validates its answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import orjson
from bizon.source.models import SourceIncrementalState
from loguru import logger

from apps.egress import allowlist
from apps.egress.broker import ConnectionAttempt, EgressLimits
from apps.egress.log import log
from apps.engine.contract import (
    CheckStep,
    FieldInfo,
    SandboxSpec,
    SourceSpec,
    StorageRoot,
    StreamInfo,
    SyncMode,
)
from apps.engine.failures import ConfigurationError, SourceError
from apps.engine.frames.decoding import StreamSchema
from apps.engine.position_shapes import MAX_POSITION_BYTES
from apps.engine.sandbox.limits import BrokenOutput, Limits
from apps.engine.sandbox.process import SandboxSite
from apps.engine.sandbox.session import Callbacks, Request, Sandbox
from apps.engine.sources.connector import (
    ConnectorSource,
    Pagination,
    SourcePage,
    SourceSettings,
    StreamConfig,
    rows_page,
    run_checks,
)

LOGURU_LEVELS = {"debug": "DEBUG", "info": "INFO", "warning": "WARNING", "error": "ERROR"}
MAX_RECORDED_ITEMS = 500  # A preview stores at most this many log lines and this many requests.
SAMPLE_ROWS = 100  # rows from which the fields of a stream are determined
SYNC_MODES: tuple[SyncMode, ...] = ("full_refresh", "incremental")


class SandboxedSource(ConnectorSource[SourceSettings]):
    """Uses one sandbox from creation to `close`. Its process is started by the thread that creates this object."""

    def __init__(
        self,
        config: StreamConfig,
        *,
        spec: SourceSpec,
        files: StorageRoot,
        allow_private_networks: bool = False,
        sandbox: SandboxSpec,
    ) -> None:
        super().__init__(
            config, spec=spec, files=files, allow_private_networks=allow_private_networks
        )
        if spec.code is None:
            raise ConfigurationError("this source has no code")
        self._code = spec.code
        self.requests: list[Request] = []
        self.log_lines: list[tuple[str, str]] = []  # (level, message)
        self.page_limit: int | None = None
        limits = Limits.from_json(sandbox.limits)
        # A sandbox ends with the thread that starts it, so the thread that reads pages must not start it.
        self._sandbox = Sandbox(
            spec.code.text,
            site=SandboxSite(sandbox.home, sandbox.min_isolation),
            limits=limits,
            egress_limits=EgressLimits(
                hosts=allowlist.resolve_settings(spec.code.hosts, spec.config),
                allow_private=allow_private_networks,
                max_connections=limits.connections,
                max_open_connections=limits.connections_at_once,
                max_bytes=limits.network,
            ),
            callbacks=Callbacks(
                log=self._record_log_line,
                request=self._record_request,
                connection=_report_connection,
            ),
        )

    @property
    def isolation(self) -> str:
        """Describe the isolation of the code."""
        return self._sandbox.isolation.summary

    def check(self) -> Iterator[CheckStep]:
        return run_checks([("isolate", self._check_isolation), ("connect", self._check_connection)])

    def discover(self) -> list[StreamInfo]:
        return [self._stream_info(stream) for stream in self._declared_streams]

    def get_total_records_count(self) -> int | None:
        total = self._sandbox.call("total", source_settings=self._stream_settings).values.get(
            "total"
        )
        return total if type(total) is int else None

    def get(self, pagination: Pagination = None) -> SourcePage:
        return self._read_page(pagination, None)

    def get_records_after(
        self, source_state: SourceIncrementalState, pagination: Pagination = None
    ) -> SourcePage:
        return self._read_page(pagination, source_state.model_dump(mode="json"))

    def conclude(self) -> None:
        self._sandbox.conclude()

    def close(self) -> None:
        self._sandbox.close()
        super().close()

    @property
    def _stream_settings(self) -> dict[str, Any]:
        spec = self.spec
        return {
            "config": dict(spec.config),
            "stream": spec.stream,
            "sync_mode": spec.sync_mode,
            "cursor": spec.cursor_field,
        }

    def _read_page(self, pagination: Pagination, state: Mapping[str, Any] | None) -> SourcePage:
        answer = self._sandbox.call(
            "page",
            source_settings=self._stream_settings,
            pagination=dict(pagination) if pagination else None,
            since=state,
            limit=self.page_limit,
        )
        values = answer.values
        if values.get("rows") != len(answer.rows):
            raise BrokenOutput(
                "The number of rows that the code returned differs from the number that it announced."
            )
        next_pagination = _optional_object(values, "next")
        return rows_page(answer.rows, next_pagination or {}, _state_of(values))

    @cached_property
    def _declared_streams(self) -> list[dict[str, Any]]:
        streams = self._sandbox.call("streams").values.get("streams")
        if not isinstance(streams, list) or not all(_is_stream(stream) for stream in streams):
            raise BrokenOutput("The code does not declare its streams correctly.")
        return streams

    def _stream_info(self, stream: Mapping[str, Any]) -> StreamInfo:
        cursor = stream["cursor_field"]
        return StreamInfo(
            name=stream["name"][:200],
            fields=self._stream_fields() if stream["name"] == self.spec.stream else (),
            primary_key=tuple(stream["primary_key"]),
            cursor_fields=(cursor,) if cursor else (),
            sync_modes=tuple(mode for mode in SYNC_MODES if mode in stream["sync_modes"]),
        )

    def _stream_fields(self) -> tuple[FieldInfo, ...]:
        schema = StreamSchema()
        page: Any = self.get()
        schema.decode(page.rows[:SAMPLE_ROWS])
        return schema.fields()

    def _check_isolation(self) -> str:
        self._sandbox.wait_until_ready()
        return f"runs in a sandbox of level {self.isolation}"

    def _check_connection(self) -> str:
        values = self._sandbox.call("check", source_settings=self._stream_settings).values
        message = _require_text(values.get("message"))[:500]
        if values.get("ok") is not True:
            raise SourceError(message)
        return message

    def _record_log_line(self, level: str, message: str) -> None:
        if len(self.log_lines) < MAX_RECORDED_ITEMS:
            self.log_lines.append((level, message))
        logger.bind(by="code").log(LOGURU_LEVELS.get(level, "INFO"), "{}", message)

    def _record_request(self, request: Request) -> None:
        if len(self.requests) < MAX_RECORDED_ITEMS:
            self.requests.append(request)
        logger.debug(
            "{} {} {} in {:.0f} ms", request.method, request.url, request.status, request.ms
        )


def _report_connection(connection: ConnectionAttempt) -> None:
    """Record the connection in the egress log, and the first connection to each host in the run's log."""
    host, port = connection.host, connection.port
    if connection.refused:
        if log.record_refusal(host, port, connection.refused):
            logger.warning("Refused a connection to {}:{}: {}", host, port, connection.refused)
    elif connection.closed:
        log.record_bytes(host, port, sent=connection.sent, received=connection.received)
    elif log.record_connection(host, port, connection.address):
        logger.info("Connected to {}:{} ({})", host, port, connection.address)


def _state_of(values: Mapping[str, Any]) -> dict[str, Any] | None:
    state = _optional_object(values, "state")
    size = len(orjson.dumps(state))
    if size > MAX_POSITION_BYTES:
        raise BrokenOutput(
            f"The code returned a state of {size:,} bytes as JSON; at most {MAX_POSITION_BYTES:,} are allowed. Store only"
            " what the next run needs to continue, such as the last value of the cursor field."
        )
    return state


def _optional_object(values: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    value = values.get(name)
    if value is not None and not isinstance(value, dict):
        raise BrokenOutput(f"The code did not return an object as {name}.")
    try:
        orjson.dumps({"op": {name: value}})  # the form in which the value is sent back to the code
    except TypeError as error:
        raise BrokenOutput(f"The code returned an object nested too deeply as {name}.") from error
    return value


def _require_text(value: Any) -> str:
    if not isinstance(value, str):
        raise BrokenOutput("The code did not return text as its message.")
    return value


def _is_stream(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("name"), str)
        and bool(value["name"])
        and isinstance(value.get("sync_modes"), list)
        and isinstance(value.get("primary_key"), list)
        and all(isinstance(name, str) for name in value["primary_key"])
        and isinstance(value.get("cursor_field"), str | None)
    )
