"""A turn whose worker is killed at one of its statements is answered once, and its message is in the thread."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from apps.agent.turns import loop
from tests.agent.conversing import (
    assert_nothing_is_lost_or_doubled,
    begin,
    take_over,
    thread_messages,
)
from tests.agent.faulty_worker import Fault, faulty_worker
from tests.agent.scripted_model import Step, use_script
from tests.world import make_world

STEPS = [Step("I look.", [("list_pipelines", {})]), Step("Done.")]
STATEMENTS = {
    "takes the lease": "SET status = 'running'",
    "stores the model": "UPDATE agent_turn SET model",
    "begins a call": "INSERT INTO agent_call",
    "finishes a call": "UPDATE agent_call SET state",
    "ends the turn": "locked_turn AS MATERIALIZED",
}


@pytest.mark.long
@pytest.mark.parametrize("is_executed", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("statement", list(STATEMENTS))
def test_a_worker_is_killed(
    statement: str,
    is_executed: bool,
    committed_db: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    talk = begin(make_world(), "Which pipelines are there?")
    fault = Fault(signal.SIGKILL, STATEMENTS[statement], is_executed=is_executed)
    with faulty_worker(tmp_path, STEPS, fault) as worker:
        assert worker.wait(60) == -signal.SIGKILL
    use_script(monkeypatch, *STEPS)
    if talk.turn()["status"] == "pending":
        talk.work()
    elif talk.turn()["status"] == "running":
        take_over(talk)
    assert talk.turn()["status"] == "done", talk.turn()
    assert (talk.kinds().count("tool_result"), talk.kinds().count("done")) == (1, 1)
    messages = assert_nothing_is_lost_or_doubled(talk)
    assert [message.type for message in messages] == ["human", "ai", "tool", "ai"]


def test_a_job_with_a_turn_of_another_org_does_nothing(
    committed_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_script(monkeypatch, *STEPS)
    mine, other = make_world("Mine"), make_world("Other")
    talk = begin(other, "Which pipelines are there?")
    loop.run_turn(mine.org.pk, talk.row().pk, "tests")
    assert (talk.row().status, talk.row().lease, talk.kinds()) == (
        "pending",
        None,
        ["turn_started"],
    )
    talk.work()
    assert talk.turn()["status"] == "done"
    assert len(thread_messages(talk)) == 4
