"""LangChain's tracing is off in the worker."""

from __future__ import annotations

from typing import Any

import pytest

VARIABLES = (
    "LANGSMITH_TRACING",
    "LANGSMITH_TRACING_V2",
    "LANGCHAIN_TRACING",
    "LANGCHAIN_TRACING_V2",
)


def test_no_environment_variable_switches_tracing_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from langsmith import utils

    from apps.agent.turns import loop

    cached_function: Any = utils.get_env_var
    for name in VARIABLES:
        monkeypatch.setenv(name, "true")
    cached_function.cache_clear()
    assert utils.tracing_is_enabled(), "the variables are those that LangSmith reads"
    loop.disable_tracing()
    cached_function.cache_clear()
    assert not utils.tracing_is_enabled()
