"""Lists are read from a real streaming replica, and are never older than what the primary server has committed."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psycopg
import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from pytest_django import DjangoDbBlocker

from apps.orgs.http.views import OrgView
from apps.orgs.roles import Role
from apps.orgs.walls import replica as replica_module
from local.database.postgres import EmbeddedPostgres
from tests.runs.own_server import DATABASE, OwnServer, own_server
from tests.web_server import web_server
from tests.world import World, make_pipeline, make_world, token_for

DOMAINS = 15


@contextmanager
def replica_of(primary: EmbeddedPostgres, folder: Path) -> Iterator[EmbeddedPostgres]:
    """Copy the running server, and start the copy as its streaming replica."""
    folder.chmod(0o711)
    replica = EmbeddedPostgres(folder / "pg")
    replica.password_file.write_text(primary.password)
    replica.data_dir.mkdir(mode=0o700)
    primary.account.take_ownership(replica.data_dir)
    subprocess.run(
        [
            *(primary.binaries / "pg_basebackup", "--pgdata", replica.data_dir),
            *("--dbname", primary.url(), "--write-recovery-conf", "--checkpoint=fast"),
        ],
        cwd="/",
        check=True,
        **primary.account.subprocess_arguments(),
    )
    try:
        replica.start()
        yield replica
    finally:
        replica.delete()


@pytest.fixture
def primary(
    monkeypatch: pytest.MonkeyPatch,
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[OwnServer]:
    with (
        TemporaryDirectory(prefix="drover-primary-") as folder,
        django_db_blocker.unblock(),
        own_server(Path(folder), monkeypatch) as server,
    ):
        yield server


@pytest.fixture
def acme(primary: OwnServer) -> World:
    return make_world()


@pytest.fixture
def replica(primary: OwnServer) -> Iterator[EmbeddedPostgres]:
    with (
        TemporaryDirectory(prefix="drover-replica-") as folder,
        replica_of(primary.postgres, Path(folder)) as server,
    ):
        yield server


@pytest.fixture
def client(acme: World, replica: EmbeddedPostgres) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {token_for(acme.users[Role.OWNER], acme.org)}"}
    with (
        web_server(DROVER_REPLICA_URL=replica.url(DATABASE)) as url,
        httpx.Client(base_url=f"{url}/api/v1/", headers=headers, timeout=30) as client,
    ):
        yield client


def execute(server: EmbeddedPostgres, statement: str) -> None:
    with psycopg.connect(server.url(DATABASE), autocommit=True) as connection:
        connection.execute(statement)


def scans(server: EmbeddedPostgres, table: str) -> int:
    """Return how often queries have read the table at this server."""
    with psycopg.connect(server.url(DATABASE)) as connection:
        row = connection.execute(
            "SELECT coalesce(seq_scan, 0) + coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = %s",
            [table],
        ).fetchone()
    return int(row[0]) if row else 0


def wait_for_scans(server: EmbeddedPostgres, table: str, count: int) -> None:
    """Wait until the server counts so many scans: it writes its statistics a second late."""
    deadline = time.monotonic() + 30
    while scans(server, table) < count:
        assert time.monotonic() < deadline, f"{scans(server, table)} scans of {table}"
        time.sleep(0.2)


def create_and_list(client: httpx.Client, name: str) -> None:
    """Create a domain, and expect it in the audit log at once."""
    client.post("org/domains", json={"name": name}).raise_for_status()
    entries = client.get("org/audit").raise_for_status().json()["results"]
    assert name in str(entries[0])


def test_a_list_has_what_was_saved_a_moment_ago_and_the_replica_answers(
    client: httpx.Client, replica: EmbeddedPostgres
) -> None:
    for number in range(DOMAINS):
        create_and_list(client, f"Domain {number}")
    wait_for_scans(replica, "orgs_auditevent", DOMAINS)


@pytest.mark.long
def test_the_primary_server_answers_while_the_replica_is_behind_or_gone(
    client: httpx.Client, replica: EmbeddedPostgres
) -> None:
    create_and_list(client, "Before")
    execute(replica, "SELECT pg_wal_replay_pause()")
    for number in range(3):
        create_and_list(client, f"While it is behind {number}")
    execute(replica, "SELECT pg_wal_replay_resume()")
    replica.stop()
    time.sleep(replica_module.PAUSE_SECONDS)  # The replica is asked again, and does not answer.
    for number in range(3):
        create_and_list(client, f"While it is gone {number}")


@pytest.mark.long
def test_a_server_that_is_no_replica_is_not_read(
    client: httpx.Client, replica: EmbeddedPostgres
) -> None:
    execute(replica, "SELECT pg_promote()")
    create_and_list(client, "After the promotion")
    assert scans(replica, "orgs_auditevent") == 0


def test_another_organization_sees_nothing_through_the_replica(
    acme: World, client: httpx.Client
) -> None:
    create_and_list(client, "Secret plans")
    other = make_world("Other")
    token = token_for(other.users[Role.OWNER], other.org)
    answer = client.get(
        "org/audit", headers={"Authorization": f"Bearer {token}"}
    ).raise_for_status()
    assert "Secret plans" not in answer.text


def addresses_read_from_replica(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    for pattern in resolver.url_patterns:
        address = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses_read_from_replica(pattern, address)
        elif isinstance(pattern, URLPattern):
            view = getattr(pattern.callback, "cls", None) or getattr(
                pattern.callback, "view_class", None
            )
            if view and issubclass(view, OrgView) and view.reads_from_replica:
                yield "/" + address


def test_every_list_that_may_be_read_from_the_replica_works_there(
    acme: World, client: httpx.Client, replica: EmbeddedPostgres
) -> None:
    pipeline = make_pipeline(acme)
    addresses = list(addresses_read_from_replica(get_resolver()))
    assert len(addresses) >= 8
    for address in addresses:
        path = address.removeprefix("/api/v1/").replace("<uuid:pk>", str(pipeline.pk))
        assert client.get(path).status_code == 200, address
    # After a failure the replica would not be asked again so soon.
    create_and_list(client, "Afterwards")
    wait_for_scans(replica, "orgs_auditevent", 2)
