"""Act before the streams of a run, in the worker that runs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apps.engine import Outcome, RunSpec
from apps.engine.process.stream_series import StreamSeries

BeforeStream = Callable[[RunSpec], Outcome | None]


def call_before_streams(monkeypatch: pytest.MonkeyPatch, action: BeforeStream) -> None:
    """Call `action` before each stream. If it returns an outcome, that is the outcome of the stream."""
    run_stream = StreamSeries.run

    def run(series: StreamSeries, spec: RunSpec, **options: Any) -> Outcome:
        return action(spec) or run_stream(series, spec, **options)

    monkeypatch.setattr(StreamSeries, "run", run)
