"""LangChain's tracing is off in the worker."""

from __future__ import annotations

import pytest


def test_no_environment_variable_switches_tracing_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from langsmith import utils

    from apps.agent.turns import loop

    for name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2"):
        monkeypatch.setenv(name, "true")
    utils.get_env_var.cache_clear()
    assert utils.tracing_is_enabled(), "the variables are those that LangSmith reads"
    loop.disable_tracing()
    utils.get_env_var.cache_clear()
    assert not utils.tracing_is_enabled()
