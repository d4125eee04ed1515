"""Real web processes tell operators that the only worker has stopped, and that one works again. Exactly one of them does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.alerts.receiver import Receiver
from tests.runs.processes import running_worker, wait_for_workers
from tests.web_server import web_server

PATIENCE_SECONDS = 4
LONGEST_WAIT = 60.0  # seconds


@pytest.fixture
def web_processes(committed_db: None, receiver: Receiver) -> Iterator[None]:
    """Three web processes with a webhook for operators."""
    with ExitStack() as running:
        for _ in range(3):
            server = web_server(
                DROVER_OPERATOR_WEBHOOK_URL=receiver.url,
                DROVER_OPERATOR_PATIENCE_SECONDS=str(PATIENCE_SECONDS),
            )
            running.enter_context(server)
        yield


def wait_for(messages: Callable[[], list[Any]]) -> None:
    deadline = time.monotonic() + LONGEST_WAIT
    while not messages():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.long
def test_one_of_the_web_processes_tells_that_the_worker_has_stopped(
    web_processes: None, receiver: Receiver
) -> None:
    def told(key: str) -> list[Any]:
        return [each for message in receiver.messages for each in message[key] if is_worker(each)]

    with running_worker():
        wait_for_workers(1)
        time.sleep(PATIENCE_SECONDS)  # what was seen before the worker was ready is over
    receiver.requests.clear()
    wait_for(lambda: told("began"))
    assert told("ended") == []
    with running_worker():
        wait_for(lambda: told("ended"))
        time.sleep(PATIENCE_SECONDS)  # another process would have told it by now
    assert (len(told("began")), len(told("ended"))) == (1, 1)
    ids = [message["id"] for message in receiver.messages]
    assert len(ids) == len(set(ids))


def is_worker(problem: dict[str, Any]) -> bool:
    return bool(problem["part"] == "workers")
