"""Structured server logs: one JSON line per event on stderr."""

from __future__ import annotations

import logging.config
from typing import Any

import orjson
import structlog

from apps.engine.reporting.terminal import printable_text
from apps.telemetry import tracing
from config import env


def add_trace_ids(
    _logger: Any, _method: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    """Add the ids of the current span, if traces are sent."""
    event.update(tracing.current_ids())
    return event


PROCESSORS: list[structlog.types.Processor] = [
    structlog.contextvars.merge_contextvars,
    add_trace_ids,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


class AddVersion:
    """Adds the version of Drover, because processes of two releases may run during an upgrade."""

    def __init__(self, version: str) -> None:
        self._version = version

    def __call__(
        self, _logger: Any, _method: str, event: structlog.types.EventDict
    ) -> structlog.types.EventDict:
        event["version"] = self._version
        return event


def _dumps(value: Any, **_: Any) -> str:
    """Encode JSON. Escape characters that a terminal would interpret or that change the order of the text."""
    return printable_text(orjson.dumps(value, default=str).decode())


class ServiceUnavailableFilter(logging.Filter):
    """Drops Django's log line about a 503 response. The code that causes the 503 logs the reason."""

    def filter(self, record: logging.LogRecord) -> bool:
        return getattr(record, "status_code", None) != 503


def configure(config: dict[str, Any]) -> None:
    """Configure logging and structlog. Django calls this with `LOGGING`."""
    formatter = config["formatters"]["structured"]
    formatter["processor"] = structlog.processors.JSONRenderer(serializer=_dumps)
    processors: list[structlog.types.Processor] = [AddVersion(env.version()), *PROCESSORS]
    formatter["foreign_pre_chain"] = processors
    logging.config.dictConfig(config)
    structlog.configure(
        processors=[*processors, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
