"""If a worker is killed or frozen during a turn, the conversation goes on, and nothing is lost, doubled or done twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from apps.agent.models import Call
from tests.agent.conversing import (
    Talk,
    assert_nothing_is_lost_or_doubled,
    begin,
    take_over,
)
from tests.agent.faulty_worker import Fault, faulty_worker
from tests.agent.scripted_model import Step, use_script
from tests.runs.claiming.freezer import wait_until_frozen
from tests.world import World, make_connector, make_world

DEADLINE = 60


@pytest.fixture
def world(committed_db: None) -> World:
    return make_world()


def proposal(world: World) -> dict[str, Any]:
    """Return the arguments of `create_pipelines` for one pipeline. Carried out twice, it would create two."""
    source = make_connector(world)
    destination = make_connector(world, role="destination", kind="logger")
    pipeline = {
        "name": "generated",
        "source_connector_id": str(source.pk),
        "destination_connector_id": str(destination.pk),
        "streams": [{"stream": "generated"}],
    }
    return {"pipelines": [pipeline]}


@pytest.fixture
def steps(world: World) -> list[Step]:
    return [
        Step("I create the pipeline now.", [("create_pipelines", proposal(world))]),
        Step("The pipeline was created."),
    ]


def approved_talk(world: World, steps: list[Step], monkeypatch: pytest.MonkeyPatch) -> Talk:
    """Return a conversation whose next job creates the pipeline."""
    use_script(monkeypatch, *steps)
    talk = begin(world, "create it")
    talk.work()
    assert talk.decide(talk.open_request()["id"]).status_code == 200
    return talk


def pipeline_count(talk: Talk) -> int:
    return int(talk.client.get("/api/v1/pipelines").json()["count"])


def call_count(talk: Talk) -> int:
    with talk.world.scope():
        return Call.objects.for_org(talk.world.org).count()


def assert_done_once(talk: Talk) -> None:
    assert talk.turn()["status"] == "done", talk.turn()
    assert_nothing_is_lost_or_doubled(talk)
    assert (pipeline_count(talk), call_count(talk)) == (1, 1)


@pytest.mark.long
def test_a_turn_goes_on_after_its_worker_is_killed_in_the_middle_of_an_answer(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = begin(world, "hello")
    cut = Step("This answer is cut", stalls=True)
    # The lease is long: the reconciler notices that the lock of the conversation is free.
    with faulty_worker(tmp_path, [cut], DROVER_AGENT_LEASE_SECONDS="600") as worker:
        talk.wait_for(lambda t: "token" in t.kinds())
        worker.send_signal(signal.SIGKILL)
        assert worker.wait(DEADLINE) == -signal.SIGKILL
    use_script(monkeypatch, Step("This answer is complete."))
    take_over(talk)
    assert talk.turn()["status"] == "done", talk.turn()
    assert [item["text"] for item in talk.turn()["items"]] == ["This answer is complete. "]
    assert "message_discarded" in talk.kinds()
    assert_nothing_is_lost_or_doubled(talk)


KILLED_AT = {
    "before the tool's transaction is committed": Fault(
        signal.SIGKILL, 'INSERT INTO "pipelines_pipeline"', is_executed=True
    ),
    "after its commit, before its checkpoint": Fault(
        signal.SIGKILL, "INTO checkpoint", after="UPDATE agent_call"
    ),
}


@pytest.mark.sample(10)
@pytest.mark.parametrize("moment", list(KILLED_AT))
def test_a_tool_has_one_effect_if_its_worker_is_killed(
    moment: str,
    world: World,
    steps: list[Step],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    talk = approved_talk(world, steps, monkeypatch)
    with faulty_worker(tmp_path, steps, KILLED_AT[moment]) as worker:
        assert worker.wait(DEADLINE) == -signal.SIGKILL
    assert pipeline_count(talk) == (0 if "before the tool" in moment else 1)
    take_over(talk)
    assert_done_once(talk)


CHECKPOINT_OF_AN_ANSWER = "allowed AS MATERIALIZED .* INTO checkpoints"


@pytest.mark.long
def test_an_answer_is_written_once_if_its_worker_is_killed_before_its_checkpoint(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of an answer is stored with its checkpoint, so the beginning alone was shown."""
    talk = begin(world, "hello")
    first_word_is_shown = tmp_path / "shown"
    step = Step("The first answer.", waits_for=str(first_word_is_shown))
    fault = Fault(signal.SIGKILL, CHECKPOINT_OF_AN_ANSWER)
    with faulty_worker(tmp_path, [step], fault) as worker:
        talk.wait_for(lambda t: "token" in t.kinds())
        first_word_is_shown.touch()
        assert worker.wait(DEADLINE) == -signal.SIGKILL
    assert talk.turn()["items"][0]["text"].startswith("The ")
    use_script(monkeypatch, Step("The second answer."))
    take_over(talk)
    assert [item["text"] for item in talk.turn()["items"]] == ["The second answer. "]
    assert "message_discarded" in talk.kinds()
    assert_nothing_is_lost_or_doubled(talk)


@pytest.mark.long
def test_an_answer_is_written_once_if_its_worker_is_killed_after_its_checkpoint(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = begin(world, "hello")
    fault = Fault(signal.SIGKILL, CHECKPOINT_OF_AN_ANSWER, is_executed=True)
    with faulty_worker(tmp_path, [Step("The first answer.")], fault) as worker:
        assert worker.wait(DEADLINE) == -signal.SIGKILL
    use_script(monkeypatch, Step("The second answer."))
    take_over(talk)
    assert [item["text"] for item in talk.turn()["items"]] == ["The first answer. "]
    assert "message_discarded" not in talk.kinds()
    assert_nothing_is_lost_or_doubled(talk)


END_OF_TURN = "UPDATE agent_turn.*transcript = .*INSERT INTO agent_event"


@pytest.mark.long
@pytest.mark.parametrize("is_executed", [False, True])
def test_a_turn_ends_once_if_its_worker_is_killed_at_its_end(
    world: World, is_executed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state of the turn, its transcript and its last events are stored with one statement."""
    talk = begin(world, "hello")
    fault = Fault(signal.SIGKILL, END_OF_TURN, is_executed=is_executed)
    with faulty_worker(tmp_path, [Step("The only answer.")], fault) as worker:
        assert worker.wait(DEADLINE) == -signal.SIGKILL
    assert ("done" in talk.kinds()) == is_executed
    if not is_executed:
        use_script(monkeypatch, Step("Another answer."))
        take_over(talk)
    assert talk.turn()["status"] == "done"
    assert [item["text"] for item in talk.turn()["items"]] == ["The only answer. "]
    assert talk.kinds().count("done") == 1
    assert_nothing_is_lost_or_doubled(talk)


@pytest.mark.long
def test_a_frozen_worker_writes_nothing_after_another_worker_took_its_turn_over(
    world: World, steps: list[Step], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = approved_talk(world, steps, monkeypatch)
    fault = Fault(signal.SIGSTOP, "INTO checkpoint", after="UPDATE agent_call")
    with faulty_worker(tmp_path, steps, fault) as worker:
        wait_until_frozen(worker.pid)
        take_over(talk)
        assert_done_once(talk)
        before = talk.events()
        os.kill(worker.pid, signal.SIGCONT)
        talk.send("Is it there?")  # the worker that was frozen can run it
        talk.wait_for(lambda t: t.turn()["status"] == "done")
    assert talk.events()[: len(before)] == before
    assert_nothing_is_lost_or_doubled(talk)
