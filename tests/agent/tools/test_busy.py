"""Tools that call the engine wait for some seconds if other calls of the organization take all places."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest
from django.db import connection

from apps.agent.tools import slow_work
from apps.connectors import engine
from apps.engine.failures import Unavailable
from apps.orgs.slow_calls import SlowCall
from tests.agent.tools.use import context_of, error_code, use
from tests.world import World, make_connector, make_pipeline


@contextmanager
def all_places_taken(world: World) -> Iterator[Callable[[], None]]:
    """Let other calls take all places of the org until the end, or until the function is called that it yields."""
    with ExitStack() as taken:
        for _ in range(engine.MAX_CALLS_OF_ORG):
            taken.enter_context(engine._count_call(world.org.pk))
        yield taken.close


@pytest.fixture(scope="module", autouse=True)
def _close_supervisor_afterwards() -> Iterator[None]:
    yield
    engine.supervisor().close()
    engine.supervisor.cache_clear()


def test_a_tool_waits_for_a_place(world: World) -> None:
    connector = make_connector(world)
    started = time.monotonic()
    with all_places_taken(world) as free_places:
        threading.Timer(1, free_places).start()
        answer = use(world, "list_streams", connector_id=str(connector.pk))
    assert answer.ok, answer.content
    assert time.monotonic() - started >= 1


def test_it_says_how_long_it_has_waited(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_work, "BUSY_SECONDS", 1.0)
    pipeline = make_pipeline(world)
    with all_places_taken(world):
        answer = use(world, "preview_pipeline", pipeline_id=str(pipeline.pk))
    assert error_code(answer) == "busy"
    assert "seconds of waiting" in answer.summary


def test_other_refusals_are_answered_at_once(world: World) -> None:
    calls: list[bool] = []

    def refuse() -> None:
        calls.append(connection.in_atomic_block)
        raise Unavailable("The machine has no memory left.")

    call = SlowCall(refuse, lambda by: None)
    with world.scope():
        waiting = slow_work.wait_while_busy(context_of(world), call)
    with pytest.raises(Unavailable):
        waiting.run()
    assert len(calls) == 1


def test_a_program_over_mcp_is_told_at_once(world: World) -> None:
    call = SlowCall(lambda: None, lambda by: None)
    with world.scope():
        context = replace(context_of(world), turn_id=None)
    assert slow_work.wait_while_busy(context, call) is call
