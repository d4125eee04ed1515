"""Preview a custom source for its author, in a child process of the fork server. Input and output are JSON.

The code runs in the sandbox, as in runs. `apps.engine.authoring` validates code without running it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from apps.egress.log import log as egress_log
from apps.engine import connect
from apps.engine.failures import ConfigurationError
from apps.engine.frames.display import display_rows
from apps.engine.reporting.classify import classify
from apps.engine.reporting.redaction import Redactor, redactor_of_payload
from apps.engine.sources.custom import SandboxedSource

Payload = Mapping[str, Any]
Answer = dict[str, Any]
MAX_MESSAGE = 2_000  # characters


def try_source(payload: Payload) -> Answer:
    """Return a preview for the author: the records, and the log of requests and messages, even after a failure.

    It is `{"ok", "records", "rejected", "skipped", "left_out", "columns", "ms", "requests", "log", "network", "isolation", "failure"}`.
    """
    started = time.perf_counter()
    redactor = redactor_of_payload(payload)
    limit = max(
        1,
        min(int(payload.get("limit") or connect.MAX_PREVIEW_RECORDS), connect.MAX_PREVIEW_RECORDS),
    )
    answer: Answer = {
        "ok": False,
        "records": [],
        "rejected": 0,
        "skipped": 0,
        "left_out": [],
        "columns": [],
        "failure": None,
    }
    activity: Answer = {"requests": [], "log": [], "isolation": ""}
    try:
        with connect.open_source(payload) as source:
            if not isinstance(source, SandboxedSource):
                raise ConfigurationError("only custom sources can be previewed")
            activity["isolation"] = source.isolation
            try:
                source.page_limit = limit
                records = connect.read_first_records(source, limit)
            finally:
                activity |= _recorded_activity(source, redactor)
        answer |= {
            "ok": True,
            "records": redactor.mask_records(display_rows(records.frame)),
            "rejected": records.rejected,
            "skipped": records.skipped,
            "left_out": redactor.mask_value([asdict(reason) for reason in records.reasons]),
            "columns": redactor.mask_records([asdict(field) for field in records.schema.fields()]),
        }
    # This is the outermost handler of the call. It returns every error, so that the author also sees the log.
    except Exception as error:
        failure = classify(error, side="source", redactor=redactor)
        answer["failure"] = {
            "failure_class": str(failure.failure_class),
            "message": failure.message,
            "evidence": list(failure.evidence),
        }
    ms = round((time.perf_counter() - started) * 1000, 1)
    return {**answer, **activity, "network": redactor.mask_value(egress_log.to_json()), "ms": ms}


def _recorded_activity(source: SandboxedSource, redactor: Redactor) -> Answer:
    return {
        "requests": [redactor.mask_value(asdict(request)) for request in source.requests],
        "log": [
            {"level": level, "message": redactor.mask_text(message)[:MAX_MESSAGE]}
            for level, message in source.log_lines
        ],
    }
