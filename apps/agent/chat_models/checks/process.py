"""Check a language model. This runs in a child process of the web process, which does not import LangChain."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from apps.agent.chat_models import meters, providers
from apps.agent.chat_models.checks import findings, probes
from apps.agent.chat_models.checks.answers import ModelCheckAnswer, ModelCheckRow, make_row
from apps.agent.chat_models.checks.findings import Finding
from apps.agent.chat_models.checks.probes import Subject
from apps.agent.chat_models.connections import ModelConnection, Provider
from apps.agent.chat_models.failures import ModelFailed

CHECK_SECONDS = 15.0  # for one check
TOTAL_SECONDS = 45.0  # for all checks; proxies often end a request after 60 seconds

Probe = Callable[[Subject], Awaitable[Finding]]

# In the order in which they are made. If one of the first three fails, the others are skipped.
PROBES: dict[str, Probe] = {
    "reachable": probes.reachable,
    "key": probes.key,
    "streaming": probes.streaming,
    "tool_calls": probes.tool_calls,
    "call_ids": probes.call_ids,
    "context": probes.context,
    "two_at_once": probes.two_at_once,
    "structured_output": probes.structured_output,
}
NEEDED_BY_OTHERS = frozenset({"reachable", "key", "streaming"})


def check_model(payload: Mapping[str, Any]) -> ModelCheckAnswer:
    """Check the model of `payload["connection"]`, which has the fields of a ModelConnection."""
    fields = dict(payload["connection"])
    connection = ModelConnection(
        **{**fields, "provider": Provider(fields["provider"]), "timeout": CHECK_SECONDS}
    )
    return asyncio.run(_check(connection))


async def _check(connection: ModelConnection) -> ModelCheckAnswer:
    model = providers.build(connection)
    model.max_retries = 0
    try:
        with meters.count_tokens() as meter:
            rows = await _run_probes(Subject(connection, model))
    finally:
        await model.aclose()
    return {
        "ok": all(row["state"] not in {"failed", "skipped"} for row in rows),
        "model": connection.label,
        "checks": rows,
        "input_tokens": meter.input_tokens,
        "output_tokens": meter.output_tokens,
    }


async def _run_probes(subject: Subject) -> list[ModelCheckRow]:
    deadline = time.monotonic() + TOTAL_SECONDS
    rows: list[ModelCheckRow] = []
    for name, probe in PROBES.items():
        has_failed = any(r["state"] == "failed" and r["name"] in NEEDED_BY_OTHERS for r in rows)
        seconds = min(CHECK_SECONDS, deadline - time.monotonic())
        if has_failed:
            rows.append(_row(name, findings.NOT_DONE))
        elif seconds <= 0:
            rows.append(_row(name, findings.NO_TIME))
        else:
            rows.append(await _run_probe(name, probe, subject, seconds))
    return rows


async def _run_probe(name: str, probe: Probe, subject: Subject, seconds: float) -> ModelCheckRow:
    began = time.monotonic()
    with meters.count_tokens() as meter:
        try:
            finding = await asyncio.wait_for(probe(subject), seconds)
        except TimeoutError:
            finding = findings.too_slow(seconds)
        except ModelFailed as error:
            finding = findings.of_failure(error.failure)
    tokens = meter.input_tokens + meter.output_tokens
    return _row(name, finding, ms=(time.monotonic() - began) * 1000, tokens=tokens)


def _row(name: str, finding: Finding, *, ms: float = 0.0, tokens: int = 0) -> ModelCheckRow:
    return make_row(name, finding.state, finding.message, finding.next_step, ms=ms, tokens=tokens)
