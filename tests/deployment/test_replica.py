"""Lists are read from a real streaming replica, and are never older than what the primary server has committed."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psycopg
import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from pytest_django import DjangoDbBlocker

from apps.orgs.http.views import OrgView
from apps.orgs.roles import Role
from local.database.postgres import EmbeddedPostgres
from tests.runs.own_server import DATABASE, own_server
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


@dataclass(frozen=True)
class Replicated:
    """An org on a primary server, its replica, and a client of a web process that reads lists from the replica."""

    acme: World
    replica: EmbeddedPostgres
    client: httpx.Client


@contextmanager
def replicated_servers() -> Iterator[Replicated]:
    with (
        TemporaryDirectory(prefix="drover-primary-") as folder,
        TemporaryDirectory(prefix="drover-replica-") as replica_folder,
        pytest.MonkeyPatch.context() as patch,
        own_server(Path(folder), patch) as primary,
    ):
        acme = make_world()
        headers = {"Authorization": f"Bearer {token_for(acme.users[Role.OWNER], acme.org)}"}
        with (
            replica_of(primary.postgres, Path(replica_folder)) as replica,
            web_server(DROVER_REPLICA_URL=replica.url(DATABASE)) as url,
            httpx.Client(base_url=f"{url}/api/v1/", headers=headers, timeout=30) as client,
        ):
            yield Replicated(acme, replica, client)


@pytest.fixture(scope="module")
def servers(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Replicated]:
    with django_db_blocker.unblock(), replicated_servers() as servers:
        yield servers


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
    servers: Replicated,
) -> None:
    before = scans(servers.replica, "orgs_auditevent")
    for number in range(DOMAINS):
        create_and_list(servers.client, f"Domain {number}")
    wait_for_scans(servers.replica, "orgs_auditevent", before + DOMAINS)


def test_another_organization_sees_nothing_through_the_replica(servers: Replicated) -> None:
    create_and_list(servers.client, "Secret plans")
    other = make_world("Other")
    token = token_for(other.users[Role.OWNER], other.org)
    answer = servers.client.get(
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


def test_every_list_that_may_be_read_from_the_replica_works_there(servers: Replicated) -> None:
    pipeline = make_pipeline(servers.acme)
    before = scans(servers.replica, "orgs_auditevent")
    addresses = list(addresses_read_from_replica(get_resolver()))
    assert len(addresses) >= 8
    for address in addresses:
        path = address.removeprefix("/api/v1/").replace("<uuid:pk>", str(pipeline.pk))
        assert servers.client.get(path).status_code == 200, address
    # After a failure the replica would not be asked again so soon.
    create_and_list(servers.client, "Afterwards")
    wait_for_scans(servers.replica, "orgs_auditevent", before + 2)
