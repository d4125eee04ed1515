"""One org with slow language models cannot delay the answers of another org."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings

from apps.agent.chat_models.connections import Provider
from apps.agent.models import Turn
from apps.orgs.roles import Role
from tests.agent.chat_models.test_turns_with_models import choose
from tests.agent.conversing import Talk, begin
from tests.agent.wire.replies import Reply
from tests.agent.wire.server import WireServer, wire_server
from tests.runs.processes import start_worker
from tests.world import World, make_world

HANGING = Reply("I am still thinking about it.", silence=90)


@pytest.fixture
def greedy(committed_db: None) -> World:
    return make_world("Greedy")


@pytest.fixture
def other(committed_db: None) -> World:
    return make_world("Other")


@pytest.fixture(autouse=True)
def worker(committed_db: None) -> Iterator[None]:
    """Run a worker. It is killed at the end, because otherwise it would wait for the slow model."""
    process = start_worker()
    yield
    process.kill()
    process.wait()


def send_to_slow_model(world: World, server: WireServer) -> list[Talk]:
    """Send ten messages, which is more than a worker answers at once. Returns when the model has its share of them."""
    choose(world, server, Provider.OPENAI_COMPATIBLE)
    talks = [begin(world, "Wait.", role) for role in (Role.MEMBER, Role.ADMIN) for _ in range(5)]
    talks[0].wait_for(lambda _: len(server.requests) >= settings.AGENT_ORG_TURNS_PER_WORKER)
    return talks


def test_a_third_org_is_answered_while_two_orgs_wait_for_slow_models(
    greedy: World, committed_db: None, other: World
) -> None:
    second = make_world("Second")
    with wire_server([HANGING]) as server, wire_server([HANGING]) as second_server:
        send_to_slow_model(greedy, server)
        choose(second, second_server, Provider.OPENAI_COMPATIBLE)
        waiting = [begin(second, "Wait.") for _ in range(5)]
        waiting[0].wait_for(lambda _: len(second_server.requests) >= 2)
        talk = begin(other, "Which pipelines are there?")
        talk.wait_for(lambda talk: talk.turn()["status"] == "done")
        used = len(server.requests) + len(second_server.requests)
        assert used == settings.AGENT_TURNS - 2, "the models still hang"


def statuses(world: World) -> Counter[Any]:
    with world.scope():
        return Counter(Turn.objects.for_org(world.org).values_list("status", flat=True))


@pytest.mark.long  # the test above does the same with two greedy orgs
def test_another_org_is_answered_while_one_org_waits_for_a_slow_model(
    greedy: World, other: World
) -> None:
    limit = settings.AGENT_ORG_TURNS_PER_WORKER
    with wire_server([HANGING]) as server:
        talks = send_to_slow_model(greedy, server)
        talk = begin(other, "Which pipelines are there?")
        talk.wait_for(lambda talk: talk.turn()["status"] == "done")
        assert statuses(greedy) == {"running": limit, "pending": len(talks) - limit}
        assert len(server.requests) == limit, "the model still hangs"


@pytest.mark.long
def test_the_messages_that_wait_are_answered_when_others_of_the_org_end(greedy: World) -> None:
    limit = settings.AGENT_ORG_TURNS_PER_WORKER
    with wire_server([*[HANGING] * limit, Reply("Here.")]) as server:
        talks = send_to_slow_model(greedy, server)
        for talk in talks:
            if talk.row().status == "running":
                assert talk.post("stop").status_code == 204
        talks[0].wait_for(lambda _: statuses(greedy) == {"stopped": limit, "done": 10 - limit})
