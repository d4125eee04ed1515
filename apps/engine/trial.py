"""Preview a custom source for its author: JSON in, JSON out, in a child of the fork server.

The code runs in the sandbox, as in runs. `apps.engine.authoring` validates code without running it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from apps.egress.log import log as egress
from apps.engine import connect
from apps.engine.failures import ConfigurationError
from apps.engine.frames.display import display_rows
from apps.engine.reporting.classify import classify
from apps.engine.reporting.redaction import Redactor, redactor_of_payload
from apps.engine.sources.custom import SandboxedSource

Payload = Mapping[str, Any]
Answer = dict[str, Any]
SLICE = 2_000  # characters per log line


def try_source(payload: Payload) -> Answer:
    """Return a preview for the author: records, and the log of what happened, also if it failed.

    `{"ok", "records", "rejected", "columns", "ms", "requests", "log", "network", "isolation", "failure"}`.
    """
    started = time.perf_counter()
    redactor = redactor_of_payload(payload)
    limit = max(1, min(int(payload.get("limit") or connect.MAX_PREVIEW), connect.MAX_PREVIEW))
    answer: Answer = {"ok": False, "records": [], "rejected": 0, "columns": [], "failure": None}
    happened: Answer = {"requests": [], "log": [], "isolation": ""}
    try:
        with connect.opened_source(payload) as source:
            if not isinstance(source, SandboxedSource):
                raise ConfigurationError("only custom sources are tried this way")
            happened["isolation"] = source.isolation
            try:
                source.page_limit = limit
                first = connect.first_records(source, limit)
            finally:
                happened |= _happened(source, redactor)
        answer |= {
            "ok": True,
            "records": display_rows(first.frame),
            "rejected": first.rejected,
            "columns": [asdict(one) for one in first.schema.fields()],
        }
    # Outermost handler of the call: the author wants to see the error together with the log.
    except Exception as error:
        failed = classify(error, side="source", redactor=redactor)
        answer["failure"] = {
            "failure_class": str(failed.failure_class),
            "message": failed.message,
            "evidence": list(failed.evidence),
        }
    ms = round((time.perf_counter() - started) * 1000, 1)
    return {**answer, **happened, "network": redactor.value(egress.to_json()), "ms": ms}


def _happened(source: SandboxedSource, redactor: Redactor) -> Answer:
    return {
        "requests": [redactor.value(asdict(one)) for one in source.requests],
        "log": [
            {"level": level, "message": redactor.text(message)[:SLICE]}
            for level, message in source.logged
        ],
    }
