"""The agent knows also a message whose turn ended before a worker stored it in the thread."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.agent.conversing import Talk, begin, take_over, thread_messages
from tests.agent.faulty_worker import faulty_worker
from tests.agent.scripted_model import Step, use_script
from tests.world import World, make_world


@pytest.fixture
def world(committed_db: None) -> World:
    return make_world()


def messages_of_user(talk: Talk) -> list[str]:
    return [message.text for message in thread_messages(talk) if message.type == "human"]


def answer(talk: Talk, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use_script(monkeypatch, Step("An answer."))
    talk.send(text)
    talk.work()
    assert talk.turn()["status"] == "done", talk.turn()


def test_a_message_that_was_stopped_before_a_worker_began_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = begin(world, "first")
    assert talk.post("stop").status_code == 204
    answer(talk, "second", monkeypatch)
    answer(talk, "third", monkeypatch)
    assert messages_of_user(talk) == ["first", "second", "third"]


@pytest.mark.long
def test_a_message_that_was_stopped_after_its_worker_was_killed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = begin(world, "first")
    with faulty_worker(tmp_path, [Step("This answer is cut", stalls=True)]) as worker:
        talk.wait_for(lambda talk: "token" in talk.kinds())
        worker.send_signal(signal.SIGKILL)
        assert worker.wait(60) == -signal.SIGKILL
    assert messages_of_user(talk) == [], "the first checkpoints were held back"
    assert talk.post("stop").status_code == 204
    take_over(talk)
    assert talk.turn()["status"] == "stopped"
    answer(talk, "second", monkeypatch)
    assert messages_of_user(talk) == ["first", "second"]


def test_a_message_whose_answer_has_failed_is_there_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_script(monkeypatch, Step("This answer fails", fails=True))
    talk = begin(world, "first")
    talk.work()
    assert talk.turn()["status"] == "failed"
    answer(talk, "second", monkeypatch)
    assert messages_of_user(talk) == ["first", "second"]


def test_only_the_newest_missing_messages_are_added(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = begin(world)
    for number in range(5):
        talk.send(f"stopped {number}")
        assert talk.post("stop").status_code == 204
    answer(talk, "answered", monkeypatch)
    assert messages_of_user(talk) == ["stopped 2", "stopped 3", "stopped 4", "answered"]
