"""LangChain's tracing is off in the worker."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
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


def test_the_hooks_of_a_graph_stay_in_the_thread_of_the_loop() -> None:
    from langsmith import traceable

    from apps.agent.turns import loop

    @traceable(name="hook")
    async def hook(number: int) -> int:
        return number + 1

    async def call_hook() -> int:
        executor = ThreadPoolExecutor(1)
        executor.shutdown()  # a change of the thread would raise RuntimeError now
        asyncio.get_running_loop().set_default_executor(executor)
        return await hook(1)

    loop.disable_tracing()
    assert asyncio.run(call_hook()) == 2
