"""Tool calls of one org that wait for a place in the engine do not delay the turns of another org."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from django.db import connections

from apps.agent.tools import slow_work
from apps.connectors import engine
from tests.agent.conversing import Talk, begin
from tests.agent.scripted_model import Step, use_script
from tests.agent.tools.test_busy import all_places_taken
from tests.world import make_connector, make_world

MANY = 30  # calls in one answer of the model, which are more than the threads of a worker


@pytest.fixture(autouse=True)
def _close_supervisor_afterwards() -> Iterator[None]:
    yield
    engine.supervisor().close()
    engine.supervisor.cache_clear()


def work_in_background(talk: Talk) -> threading.Thread:
    def work() -> None:
        try:
            talk.work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.long
def test_another_org_is_answered_while_many_calls_of_one_turn_wait(
    committed_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    greedy, other = make_world("Greedy"), make_world("Other")
    call = ("list_streams", {"connector_id": str(make_connector(greedy).pk)})
    use_script(monkeypatch, Step("I look.", [call] * MANY), Step("Done."))
    waiting = begin(greedy, "Look at it.")
    with all_places_taken(greedy) as free_places:
        thread = work_in_background(waiting)
        waiting.wait_for(lambda talk: "tool_call" in talk.kinds())
        time.sleep(1)
        monkeypatch.setattr(slow_work, "BUSY_SECONDS", 0.1)
        use_script(monkeypatch, Step("Hello."))
        talk = begin(other, "Hello")
        talk.work()
        assert talk.turn()["status"] == "done"
        assert waiting.turn()["status"] == "running", "its calls still wait"
        free_places()
    thread.join()
    assert talk.turn()["status"] == waiting.turn()["status"] == "done"
    assert waiting.kinds().count("tool_result") == MANY
