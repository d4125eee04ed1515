"""The primary server answers if its replica is behind, is gone, or has become a server of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from pytest_django import DjangoDbBlocker

from apps.orgs.walls import replica as replica_module
from tests.deployment.test_replica import (
    Replicated,
    create_and_list,
    execute,
    replicated_servers,
    scans,
)

pytestmark = pytest.mark.long


@pytest.fixture
def servers(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Replicated]:
    """Start servers for one test, which harms the replica."""
    with django_db_blocker.unblock(), replicated_servers() as servers:
        yield servers


def test_the_primary_server_answers_while_the_replica_is_behind_or_gone(
    servers: Replicated,
) -> None:
    create_and_list(servers.client, "Before")
    execute(servers.replica, "SELECT pg_wal_replay_pause()")
    for number in range(3):
        create_and_list(servers.client, f"While it is behind {number}")
    execute(servers.replica, "SELECT pg_wal_replay_resume()")
    servers.replica.stop()
    time.sleep(replica_module.PAUSE_SECONDS)  # The replica is asked again, and does not answer.
    for number in range(3):
        create_and_list(servers.client, f"While it is gone {number}")


def test_a_server_that_is_no_replica_is_not_read(
    servers: Replicated,
) -> None:
    execute(servers.replica, "SELECT pg_promote()")
    create_and_list(servers.client, "After the promotion")
    assert scans(servers.replica, "orgs_auditevent") == 0
