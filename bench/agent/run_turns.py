"""`python -m bench.agent.run_turns`: run turns of model -> tool -> model, with a model that takes no time.

Prints JSON with the times in milliseconds, from taking the turn's job until `done` is committed.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any
from uuid import UUID

import django
import orjson
import psycopg

if TYPE_CHECKING:
    from bench.agent.accounts import Account

WARM_UP = 5  # conversations whose first turn is not measured
LONG_THREADS = 3
LONG = 40  # turns of a long thread


@dataclass(frozen=True, slots=True)
class TurnTimes:
    """Milliseconds: of first turns, of the turns around the 40th, and the processor's time of first turns.

    `graph` has the times of a graph of LangGraph's own, with its own PostgreSQL saver.
    """

    first: Sequence[float]
    later: Sequence[float]
    processor: Sequence[float]
    graph: Sequence[float]


def main(first_turns: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ["DROVER_PROCESS"] = "worker"
    django.setup()
    from apps.agent.turns import loop

    loop.import_packages()
    use_instant_model()
    sys.stdout.write(orjson.dumps(asdict(measure(first_turns))).decode())


def use_instant_model() -> None:
    """Let every org in this process use the model that takes no time."""
    from apps.agent import chat_models
    from apps.agent.chat_models import ChosenModel
    from bench.agent.instant_model import InstantModel

    module: Any = chat_models
    module.choose = lambda org, own: ChosenModel("bench:instant", InstantModel)


def measure(first_turns: int) -> TurnTimes:
    from bench.agent import plain_graph
    from bench.agent.accounts import create_account, create_conversations

    account = create_account()
    first, processor = [], []
    for conversation in create_conversations(account, WARM_UP + first_turns):
        milliseconds, cpu = run_turn(account, conversation)
        first.append(milliseconds)
        processor.append(cpu)
    later = []
    for conversation in create_conversations(account, LONG_THREADS):
        times = [run_turn(account, conversation)[0] for _ in range(LONG + 2)]
        later += times[LONG - 3 :]
    graph = plain_graph.measure(account, create_conversations(account, WARM_UP + first_turns))
    return TurnTimes(first[WARM_UP:], later, processor[WARM_UP:], graph[WARM_UP:])


def run_turn(account: Account, conversation: UUID) -> tuple[float, float]:
    """Send a message and run its turn. Returns milliseconds: of the clock until `done` arrives, and of the processor."""
    from apps.agent.conversations import services
    from apps.agent.turns import loop
    from apps.orgs.walls.scope import org_scope

    with org_scope(account.org.pk):
        turn = services.send_message(
            org=account.org, by=account.member, conversation_id=conversation, text="pipelines?"
        )
    with listening(conversation) as arrivals:
        started, cpu_started = time.perf_counter(), time.process_time()
        loop.run_turn(account.org.pk, turn.pk, "bench")
        done = arrivals.get(timeout=60)
    if '"status":"done"' not in done.notice:
        raise RuntimeError(f"the turn was not finished: {done.notice}")
    return (done.at - started) * 1000, (done.processor - cpu_started) * 1000


@dataclass(frozen=True, slots=True)
class Arrival:
    """When the notice of `done` has arrived, and what the processor has done until then, in seconds."""

    at: float
    processor: float
    notice: str


@contextmanager
def listening(conversation: UUID) -> Iterator[SimpleQueue[Arrival]]:
    """Yield a queue that receives the arrival of the turn's `done`. Later work, such as deletions, does not count."""
    from django.db import connections
    from procrastinate.contrib.django.utils import connector_params

    parameters = connector_params(connections["default"].alias)
    parameters.pop("pool", None)
    arrivals: SimpleQueue[Arrival] = SimpleQueue()

    def receive(connection: psycopg.Connection[Any]) -> None:
        for notice in connection.notifies(timeout=60):
            if f"|{conversation}|" in notice.payload and "|done|" in notice.payload:
                arrivals.put(Arrival(time.perf_counter(), time.process_time(), notice.payload))
                return

    with psycopg.connect(**{**parameters, "autocommit": True}) as connection:
        connection.execute("LISTEN drover_events")
        thread = Thread(target=receive, args=(connection,))
        thread.start()
        yield arrivals
        thread.join()


if __name__ == "__main__":
    main(int(sys.argv[1]))
