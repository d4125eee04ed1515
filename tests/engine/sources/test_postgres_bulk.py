"""The second connection, through which the rows of large tables are read: what it may do, and when it is not used."""

from __future__ import annotations

import contextlib
import datetime
import gc
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from apps.engine.failures import PositionGone, SourceError
from apps.engine.sources.postgres import bulk, reading
from apps.engine.sources.postgres import source as source_module
from tests.engine.sources.conftest import SourceDatabase
from tests.engine.sources.reading import make_source, read_stream

SSL_REQUEST_BYTES = 8


@pytest.fixture(autouse=True)
def large_table(database: SourceDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Create a table that is read like a large one."""
    monkeypatch.setattr(source_module, "BULK_BYTES", 0)
    monkeypatch.setattr(source_module, "BULK_PAGE_ROWS", 1)
    database.execute(
        "DROP TABLE IF EXISTS large CASCADE",
        "CREATE TABLE large AS SELECT n AS id, repeat('x', 100) AS t FROM generate_series(1, 20000) n",
        "ALTER TABLE large ADD PRIMARY KEY (id)",
    )


def make_large_source(database: SourceDatabase, **settings: Any) -> Any:
    return make_source("postgres", {**database.config, **settings}, "large")


@pytest.mark.parametrize("snapshot", ["whole", "paged"])
def test_all_rows_are_read_through_the_second_connection(
    database: SourceDatabase, snapshot: str
) -> None:
    source = make_large_source(database, snapshot=snapshot, page_size=3000)
    result = read_stream(source)
    assert result.column("id") == list(range(1, 20001))
    assert [len(page) for page in result.pages] == [3000] * 6 + [2000]


def test_a_connection_that_is_refused_is_not_needed(database: SourceDatabase) -> None:
    user = database.config["user"]
    database.execute(f"ALTER ROLE {user} CONNECTION LIMIT 1")
    try:
        source = make_large_source(database, snapshot="paged", page_size=3000)
        assert read_stream(source).column("id") == list(range(1, 20001))
    finally:
        database.execute(f"ALTER ROLE {user} CONNECTION LIMIT -1")


def test_a_lost_second_connection_ends_the_attempt_and_the_next_goes_on(
    database: SourceDatabase,
) -> None:
    database.execute("UPDATE large SET t = repeat(t, 20)")  # more than the sockets can hold
    source = make_large_source(database, snapshot="whole", page_size=3000)
    source.get()
    (pid,) = database.rows(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE query LIKE 'COPY%'"
    )
    assert pid == (True,)
    with pytest.raises(SourceError) as raised:
        read_stream(source, token=source._snapshot.token)
    assert raised.value.retryable
    assert read_stream(source).column("id") == list(range(1, 20001))


def test_a_page_that_is_cut_behind_its_last_row_keeps_the_second_connection(
    database: SourceDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row is larger than a page may be. Nothing is left to cancel."""
    monkeypatch.setattr(reading, "MAX_PAGE_BYTES", 1 << 20)
    monkeypatch.setattr(source_module, "MAX_PAGE_BYTES", 1 << 20)
    database.execute(
        "TRUNCATE large",
        "INSERT INTO large SELECT n, repeat('x', 20000000) FROM generate_series(1, 3) n",
    )
    source = make_large_source(database, snapshot="paged", page_size=100)
    source.type_system = "postgres"
    source.copy_version = database.admin.info.server_version // 10_000
    pids: set[int] = set()
    token: dict[str, Any] = {}
    while True:
        page = source.get(token)
        pids.add(source._bulk._connection.get_server_pid())
        token = page.next_pagination
        if not token:
            break
    source.close()
    assert len(pids) == 1


# The next page is requested before the page before it is decoded and written.


def test_a_page_that_nobody_has_asked_for_keeps_no_transaction_open(
    database: SourceDatabase,
) -> None:
    source = make_large_source(database, snapshot="paged", page_size=3000)
    page = source.get()
    wait_until(database, "SELECT NOT EXISTS (SELECT FROM {sessions} WHERE xact_start IS NOT NULL)")
    database.execute("SET lock_timeout = '1s'", "TRUNCATE large")
    page = source.get(page.next_pagination)
    assert page.frame["id"].to_list() == list(range(3001, 6001)), "it had arrived before"
    with pytest.raises(PositionGone):
        source.get(page.next_pagination)
    source.close()


def test_another_page_can_be_asked_for(database: SourceDatabase) -> None:
    source = make_large_source(database, snapshot="paged", page_size=3000)
    first = source.get()
    second = source.get(first.next_pagination)
    assert source.get(first.next_pagination).frame.equals(second.frame)
    assert source.get().frame.equals(first.frame)
    source.close()


def test_a_page_that_cannot_be_requested_early_is_requested_when_it_is_needed(
    database: SourceDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, failed = reading.TableReader.request_page, list[str]()

    def fail_early(self: reading.TableReader, position: Any, limit: int) -> Any:
        if position and position["after"] not in failed:
            failed.append(position["after"])
            raise SourceError("the table is locked by another session")
        return request(self, position, limit)

    monkeypatch.setattr(reading.TableReader, "request_page", fail_early)
    source = make_large_source(database, snapshot="paged", page_size=3000)
    assert read_stream(source).column("id") == list(range(1, 20001))
    assert len(failed) == 6


def test_connections_that_are_lost_between_two_pages_are_opened_again(
    database: SourceDatabase,
) -> None:
    source = make_large_source(database, snapshot="paged", page_size=3000)
    token = source.get().next_pagination
    wait_until(database, "SELECT NOT EXISTS (SELECT FROM {sessions} WHERE xact_start IS NOT NULL)")
    end_sessions = "SELECT count(pg_terminate_backend(pid, 5000)) >= 2 FROM {sessions}"
    assert database.rows(with_sessions(database, end_sessions)) == [(True,)]
    rows = read_stream(source, token=token).column("id")
    assert rows == list(range(3001, 20001))


@pytest.mark.parametrize("snapshot", ["whole", "paged"])
def test_a_source_that_is_not_closed_ends_its_second_connection(
    database: SourceDatabase, snapshot: str
) -> None:
    database.execute("UPDATE large SET t = repeat(t, 20)")  # more than the sockets can hold
    source = make_large_source(database, snapshot=snapshot, page_size=3000)
    source.get()
    session = source._bulk._connection.get_server_pid()
    del source
    gc.collect()
    wait_until(database, f"SELECT NOT EXISTS (SELECT FROM {{sessions}} WHERE pid = {session})")


def wait_until(database: SourceDatabase, condition: str) -> None:
    deadline = time.monotonic() + 20
    while database.rows(with_sessions(database, condition)) != [(True,)]:
        assert time.monotonic() < deadline, condition
        time.sleep(0.01)


def with_sessions(database: SourceDatabase, query: str) -> str:
    """Return the query for the sessions of the source."""
    user = database.config["user"]
    return query.format(
        sessions=f"(SELECT * FROM pg_stat_activity WHERE usename = '{user}') AS session"
    )


def test_a_waiting_change_of_the_table_does_not_block_the_read(
    database: SourceDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change waits for the first connection, and new readers wait for the change."""
    waiting: list[psycopg.Connection[Any]] = []
    begin = bulk.BulkConnection._begin

    async def begin_behind_a_change(self: bulk.BulkConnection, *arguments: Any) -> None:
        if not waiting:
            waiting.append(start_change(database))
        await begin(self, *arguments)

    monkeypatch.setattr(bulk.BulkConnection, "_begin", begin_behind_a_change)
    source = make_large_source(database, snapshot="whole")
    assert read_stream(source).column("id") == list(range(1, 20001))
    assert waiting
    waiting[0].close()


def start_change(database: SourceDatabase) -> psycopg.Connection[Any]:
    """Begin a TRUNCATE, and return when it waits."""
    connection = psycopg.connect(database.admin.info.dsn, password=database.admin.info.password)

    def truncate() -> None:
        with contextlib.suppress(psycopg.Error):
            connection.execute("TRUNCATE large")

    threading.Thread(target=truncate, daemon=True).start()
    query = (
        "SELECT 1 FROM pg_stat_activity WHERE query = 'TRUNCATE large' AND wait_event_type = 'Lock'"
    )
    while not database.rows(query):
        pass
    return connection


# TLS


def test_the_certificate_is_checked_for_the_name_although_the_address_is_used(
    database: SourceDatabase, tls_proxy: TlsProxy
) -> None:
    settings = {
        "host": "localhost",
        "port": tls_proxy.port,
        "ssl_root_certificate": tls_proxy.certificate,
    }
    for sslmode in ("verify-full", "verify-ca", "require", "prefer"):
        tls_proxy.accepted.clear()
        source = make_large_source(database, **settings, sslmode=sslmode, snapshot="paged")
        assert len(read_stream(source).column("id")) == 20000
        assert tls_proxy.accepted == [True, True], sslmode


def test_another_name_or_authority_is_refused(
    database: SourceDatabase, tls_proxy: TlsProxy
) -> None:
    first = psycopg.connect(
        host="localhost", hostaddr="127.0.0.1", port=tls_proxy.port, sslmode="require",
        dbname=database.config["database"], user=database.config["user"], password=database.config["password"],
    )  # fmt: skip
    for host, certificate in (("other.example", tls_proxy.certificate), ("localhost", None)):
        config = make_large_source(
            database, host=host, sslmode="verify-full", ssl_root_certificate=certificate
        ).settings
        with pytest.raises(bulk.BulkUnusable, match="certificate verify failed"):
            bulk.BulkConnection(first, config)
    first.close()


@dataclass
class TlsProxy:
    """A server that speaks TLS, and forwards to a server of PostgreSQL without TLS."""

    port: int
    certificate: str
    accepted: list[bool] = field(default_factory=list)


@pytest.fixture
def tls_proxy(database: SourceDatabase, tmp_path: Path) -> Iterator[TlsProxy]:
    certificate = write_certificate(tmp_path / "server.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = TlsProxy(listener.getsockname()[1], certificate)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client = listener.accept()[0]
                    threading.Thread(target=forward, args=(client,), daemon=True).start()

        def forward(client: socket.socket) -> None:
            with contextlib.suppress(OSError):
                client.recv(SSL_REQUEST_BYTES)
                client.sendall(b"S")
                secure = context.wrap_socket(client, server_side=True)
                proxy.accepted.append(True)
                server = socket.create_connection(("127.0.0.1", database.config["port"]))
                threading.Thread(target=pump, args=(server, secure), daemon=True).start()
                pump(secure, server)

        threading.Thread(target=serve, daemon=True).start()
        yield proxy


def pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


def write_certificate(path: Path) -> str:
    """Write a certificate for the name localhost with its key, and return the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + certificate)
    return certificate.decode()
