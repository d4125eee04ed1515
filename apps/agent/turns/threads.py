"""Run synchronous database code from the event loop of the agent, each call in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from django.db import connections

T = TypeVar("T")

MAX_THREADS = 16


@cache
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="agent")


async def in_thread(action: Callable[[], T]) -> T:
    """Call `action` in a thread. The thread returns its database connection to the pool afterwards."""

    def call() -> T:
        try:
            return action()
        finally:
            connections.close_all()

    return await asyncio.get_running_loop().run_in_executor(_executor(), call)
