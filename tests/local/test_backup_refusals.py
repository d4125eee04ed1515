"""Backup and restore refuse invalid input with one sentence, before they write anything."""

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
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the file `keys`. The environment contains no keys."""
    for name in secrets.REQUIRED_KEYS:
        monkeypatch.setenv(name.upper(), "restored after the test")
        monkeypatch.delenv(name.upper())
    for name in ("DROVER_HOME", "DATABASE_URL"):
        monkeypatch.setenv(name, "restored after the test")
    secrets.write(tmp_path / "keys", KEYS)
    return tmp_path


def make_archive(folder: Path, header: Header = HEADER) -> Path:
    """Write an archive with one stored file to the folder."""
    target, stored = folder / "archive", folder / "stored"
    stored.write_bytes(b"x" * 20_000)
    with target.open("wb") as file:
        writer = archive.Writer(file, lambda _count: None)
        archive.write_header(writer, header)
        writer.add(f"{archive.STORAGE_FOLDER}org/file", stored)
        writer.close()
    return target


def check_refusal(folder: Path, source: Path, sentence: str) -> None:
    home = Home(folder / "home")
    with pytest.raises(LocalError, match=sentence):
        restore(source, folder / "keys", home=home, admin_url="")
    assert not home.root.exists()


def test_restore_refuses_a_damaged_archive(folder: Path) -> None:
    source = make_archive(folder)
    content = bytearray(source.read_bytes())
    content[content.index(b"x" * 1000) + 500] ^= 1
    source.write_bytes(content)
    check_refusal(folder, source, "damaged")


def test_restore_refuses_an_archive_of_an_interrupted_backup(folder: Path) -> None:
    source = make_archive(folder)
    content = source.read_bytes()
    source.write_bytes(content[: content.index(archive.CHECKSUMS_NAME.encode())])
    check_refusal(folder, source, "incomplete")


def test_restore_refuses_a_file_that_is_not_an_archive(folder: Path) -> None:
    (folder / "archive").write_bytes(b"something else" * 1000)
    check_refusal(folder, folder / "archive", "not a backup of Drover")


def test_restore_refuses_keys_of_another_installation(folder: Path) -> None:
    source = make_archive(folder)
    secrets.write(folder / "keys", KEYS | {"encryption_keys": Fernet.generate_key().decode()})
    check_refusal(folder, source, "encryption_keys differ")


def test_keys_with_an_additional_newer_key_are_accepted(folder: Path) -> None:
    newer = f"{Fernet.generate_key().decode()}\n{KEYS['encryption_keys']}"
    secrets.require_matching_keys(KEYS | {"encryption_keys": newer}, HEADER.keys)


def test_restore_refuses_an_environment_with_other_keys(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "another")
    check_refusal(
        folder, make_archive(folder), "SECRET_KEY in the environment is not the key of the backup"
    )


def test_restore_refuses_a_backup_of_a_newer_server_drover_or_format(folder: Path) -> None:
    check_refusal(folder, make_archive(folder, replace(HEADER, server=990_000)), "as new, or newer")
    check_refusal(
        folder, make_archive(folder, replace(HEADER, pg_dump=99)), "of PostgreSQL 99 or later"
    )
    check_refusal(
        folder,
        make_archive(folder, replace(HEADER, migrations=[["orgs", "9999_x"]])),
        "a newer version of Drover",
    )
    check_refusal(folder, make_archive(folder, replace(HEADER, format=2)), "has format 2")


def test_restore_refuses_a_backup_of_another_storage(folder: Path) -> None:
    storage = {"kind": "s3", "bucket": "acme"}
    check_refusal(
        folder, make_archive(folder, replace(HEADER, storage=storage)), "set DROVER_STORAGE"
    )


def test_restore_refuses_a_home_with_files_and_does_not_change_it(folder: Path) -> None:
    home = Home(folder / "home")
    home.create_folders()
    before = sorted(home.root.rglob("*"))
    with pytest.raises(LocalError, match="is not empty"):
        restore(make_archive(folder), folder / "keys", home=home, admin_url="")
    assert sorted(home.root.rglob("*")) == before


def test_backup_does_not_overwrite_existing_files(folder: Path) -> None:
    (folder / "there").write_text("mine")
    for target, keys in (("there", "new"), ("new", "there"), ("new", "new")):
        with pytest.raises(LocalError, match=r"already exists|in a separate file"):
            backup(folder / target, folder / keys, home=Home(folder / "home"))
    assert (folder / "there").read_text() == "mine"
    assert not (folder / "new").exists()


def test_a_member_with_a_path_outside_the_folder_is_refused(folder: Path) -> None:
    with (folder / "archive").open("wb") as file:
        writer = archive.Writer(file, lambda _count: None)
        writer.add_text("../outside", "x")
        writer.close()
    with pytest.raises(LocalError, match="points outside the archive"):
        archive.extract(folder / "archive", folder / "into", lambda _count: None)
    assert not (folder / "outside").exists()


def test_the_copy_does_not_change_when_stored_files_are_replaced(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    storage.mkdir()
    (storage / "part").write_text("of the moment")
    (storage / ".part.tmp-1").write_text("half")
    (storage / "w.duckdb").write_text("pages")
    assert files.copy_files(storage, tmp_path / "copy") == len("of the moment") + len("pages")
    (storage / "new").write_text("later")
    (storage / "new").replace(storage / "part")
    (storage / "w.duckdb").write_text("other")  # DuckDB writes to its file in place.
    copied = {path.name: path.read_text() for path in (tmp_path / "copy").iterdir()}
    assert copied == {"part": "of the moment", "w.duckdb": "pages"}


def test_restore_refuses_a_database_with_tables_and_a_missing_database_counts_as_empty(
    folder: Path, shared_server: EmbeddedPostgres
) -> None:
    with psycopg.connect(shared_server.url(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE used")
    with psycopg.connect(shared_server.url("used")) as used:
        used.execute("CREATE TABLE mine (id int)")
    assert databases.is_empty(shared_server.url("missing"))
    home = Home(folder / "home")
    with pytest.raises(LocalError, match="is not empty"):
        restore(
            make_archive(folder), folder / "keys", home=home, admin_url=shared_server.url("used")
        )
    assert not home.root.exists()


@pytest.mark.parametrize("server_version", [180_000, 150_000], ids=["new", "old"])
def test_a_dump_is_restored_to_current_and_older_servers(
    tmp_path: Path, shared_server: EmbeddedPostgres, server_version: int
) -> None:
    # The restore must omit this line where it is a statement, but not where it is data.
    text = databases.SET_TRANSACTION_TIMEOUT.decode()
    names = [f"{name}_{server_version}" for name in ("source", "target")]
    with psycopg.connect(shared_server.url(), autocommit=True) as admin:
        for name in names:
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    source, target = (shared_server.url(name) for name in names)
    with psycopg.connect(source) as connection:
        connection.execute("CREATE TABLE t (id serial, x text)")
        connection.execute("INSERT INTO t (x) VALUES (%s), (NULL)", [text])
    tools = databases.find_tools(18, purpose="this test")
    file = tmp_path / "dump"
    databases.dump(tools, source, file, schemas=("public",), on_progress=lambda: None)
    databases.restore_dump(
        tools,
        target,
        file,
        schemas=("public",),
        server_version=server_version,
        on_progress=lambda: None,
    )
    with psycopg.connect(target) as connection:
        assert connection.execute("SELECT id, x FROM t").fetchall() == [(1, text), (2, None)]
