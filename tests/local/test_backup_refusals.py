"""Refusals of backup and restore, in one sentence and before anything is written."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from cryptography.fernet import Fernet
from psycopg import sql

from local.backups import archive, databases, files, secrets
from local.backups.archive import Header
from local.backups.make import backup
from local.backups.restore import restore
from local.database.postgres import EmbeddedPostgres
from local.errors import LocalError
from local.home import Home

KEYS = {"secret_key": "s", "encryption_keys": Fernet.generate_key().decode(), "api_key_pepper": "p"}
HEADER = Header(
    id=uuid.uuid4().hex,
    at="2026-01-01T00:00:00+00:00",
    server=150_000,
    pg_dump=15,
    migrations=[["orgs", "0001_initial"]],
    storage={"kind": "local", "bucket": ""},
    keys=secrets.fingerprints(KEYS),
    bytes=0,
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the keys of `make`'s archive; the environment has no keys."""
    for name in secrets.NEEDED:
        monkeypatch.setenv(name.upper(), "so that it is restored")
        monkeypatch.delenv(name.upper())
    for name in ("DROVER_HOME", "DATABASE_URL"):
        monkeypatch.setenv(name, "so that it is restored")
    secrets.write(tmp_path / "keys", KEYS)
    return tmp_path


def make(place: Path, header: Header = HEADER) -> Path:
    """An archive with one stored file."""
    target, stored = place / "archive", place / "stored"
    stored.write_bytes(b"x" * 20_000)
    with target.open("wb") as file:
        writer = archive.Writer(file, lambda _count: None)
        archive.write_header(writer, header)
        writer.add(f"{archive.STORAGE}org/file", stored)
        writer.close()
    return target


def refused(place: Path, source: Path, sentence: str) -> None:
    home = Home(place / "home")
    with pytest.raises(LocalError, match=sentence):
        restore(source, place / "keys", home=home, admin_url="")
    assert not home.root.exists()


def test_a_damaged_archive(place: Path) -> None:
    source = make(place)
    content = bytearray(source.read_bytes())
    content[content.index(b"x" * 1000) + 500] ^= 1
    source.write_bytes(content)
    refused(place, source, "damaged")


def test_an_archive_whose_backup_was_interrupted(place: Path) -> None:
    source = make(place)
    content = source.read_bytes()
    source.write_bytes(content[: content.index(archive.CHECKSUMS.encode())])
    refused(place, source, "incomplete")


def test_a_file_that_is_not_an_archive(place: Path) -> None:
    (place / "archive").write_bytes(b"something else" * 1000)
    refused(place, place / "archive", "not a backup of Drover")


def test_other_keys(place: Path) -> None:
    source = make(place)
    secrets.write(place / "keys", KEYS | {"encryption_keys": Fernet.generate_key().decode()})
    refused(place, source, "encryption_keys differ")


def test_keys_that_were_rotated_since_still_open_it(place: Path) -> None:
    newer = f"{Fernet.generate_key().decode()}\n{KEYS['encryption_keys']}"
    secrets.refuse_others(KEYS | {"encryption_keys": newer}, HEADER.keys)


def test_an_environment_with_keys_of_its_own(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "another")
    refused(place, make(place), "SECRET_KEY in the environment is not the backup's")


def test_a_newer_server_drover_or_format(place: Path) -> None:
    refused(place, make(place, replace(HEADER, server=990_000)), "as new, or newer")
    refused(place, make(place, replace(HEADER, pg_dump=99)), "of PostgreSQL 99 or later")
    refused(place, make(place, replace(HEADER, migrations=[["orgs", "9999_x"]])), "a newer Drover")
    refused(place, make(place, replace(HEADER, format=2)), "has format 2")


def test_another_storage(place: Path) -> None:
    storage = {"kind": "s3", "bucket": "acme"}
    refused(place, make(place, replace(HEADER, storage=storage)), "set DROVER_STORAGE")


def test_a_home_that_is_not_empty_is_left_as_it_is(place: Path) -> None:
    home = Home(place / "home")
    home.make()
    before = sorted(home.root.rglob("*"))
    with pytest.raises(LocalError, match="is not empty"):
        restore(make(place), place / "keys", home=home, admin_url="")
    assert sorted(home.root.rglob("*")) == before


def test_a_backup_overwrites_nothing(place: Path) -> None:
    (place / "there").write_text("mine")
    for target, keys in (("there", "new"), ("new", "there"), ("new", "new")):
        with pytest.raises(LocalError, match=r"already exists|in a separate file"):
            backup(place / target, place / keys, home=Home(place / "home"))
    assert (place / "there").read_text() == "mine"
    assert not (place / "new").exists()


def test_a_name_that_leaves_the_folder_is_not_followed(place: Path) -> None:
    with (place / "archive").open("wb") as file:
        writer = archive.Writer(file, lambda _count: None)
        writer.add_text("../outside", "x")
        writer.close()
    with pytest.raises(LocalError, match="leaves its folder"):
        archive.extract(place / "archive", place / "into", lambda _count: None)
    assert not (place / "outside").exists()


def test_what_is_replaced_while_it_is_packed_stays_as_it_was(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    storage.mkdir()
    (storage / "part").write_text("of the moment")
    (storage / ".part.tmp-1").write_text("half")
    (storage / "w.duckdb").write_text("pages")
    assert files.freeze(storage, tmp_path / "copy") == len("of the moment") + len("pages")
    (storage / "new").write_text("later")
    (storage / "new").replace(storage / "part")
    (storage / "w.duckdb").write_text("other")  # in place, as DuckDB does
    kept = {path.name: path.read_text() for path in (tmp_path / "copy").iterdir()}
    assert kept == {"part": "of the moment", "w.duckdb": "pages"}


def test_a_database_in_use_is_refused_and_one_that_is_missing_is_empty(
    place: Path, shared_server: EmbeddedPostgres
) -> None:
    with psycopg.connect(shared_server.url(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE used")
    with psycopg.connect(shared_server.url("used")) as used:
        used.execute("CREATE TABLE mine (id int)")
    assert databases.is_empty(shared_server.url("missing"))
    home = Home(place / "home")
    with pytest.raises(LocalError, match="is not empty"):
        restore(make(place), place / "keys", home=home, admin_url=shared_server.url("used"))
    assert not home.root.exists()


@pytest.mark.parametrize("server", [180_000, 150_000], ids=["new", "old"])
def test_what_was_dumped_fills_a_database_also_by_way_of_psql_for_older_servers(
    tmp_path: Path, shared_server: EmbeddedPostgres, server: int
) -> None:
    text = databases.NEW_SETTING.decode()  # a line that is left out, and only where it is a setting
    names = [f"{name}_{server}" for name in ("source", "target")]
    with psycopg.connect(shared_server.url(), autocommit=True) as admin:
        for name in names:
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    source, target = (shared_server.url(name) for name in names)
    with psycopg.connect(source) as connection:
        connection.execute("CREATE TABLE t (id serial, x text)")
        connection.execute("INSERT INTO t (x) VALUES (%s), (NULL)", [text])
    tools = databases.tools_for(18, doing="this test")
    file = tmp_path / "dump"
    databases.dump(tools, source, file, schemas=("public",), on_progress=lambda: None)
    databases.fill(
        tools, target, file, schemas=("public",), server=server, on_progress=lambda: None
    )
    with psycopg.connect(target) as connection:
        assert connection.execute("SELECT id, x FROM t").fetchall() == [(1, text), (2, None)]
