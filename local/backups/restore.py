"""`manage.py restore`: restore a backup to an empty home and an empty database.

Everything is checked before anything is written. The files are restored first, then the database in one transaction.
So after an interruption no row refers to a missing file. A marker file in the home prevents Drover from starting until
the restore has succeeded.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg

from config import env
from local.backups import archive, databases, files, secrets
from local.backups.archive import Header
from local.backups.make import SCHEMAS
from local.backups.progress import Progress, megabytes
from local.database.binaries import wheel_binaries
from local.database.roles import OWNER, prepare_database, revoke_default_privileges
from local.demo import locations as demo_locations
from local.demo.databases import prepare_demo
from local.errors import LocalError
from local.home import CHECKOUT, Home
from local.installation import embedded_server, without_credentials
from local.keys import ensure_keys, write_private
from local.lock_file import HomeLock
from local.prepare import create_engine_tables
from local.terminal import phase, say


def restore(source: Path, keys_file: Path, *, home: Home, admin_url: str) -> None:
    """Restore the backup. Raises LocalError with the next step. A failed restore can be run again."""
    header = archive.read_header(source)
    keys = secrets.read(keys_file)
    secrets.require_matching_keys(keys, header.keys)
    secrets.require_same_environment(keys)
    _refuse_other_storage(header)
    databases.find_tools(header.pg_dump, purpose="this backup")
    is_resumed = _is_interrupted_restore(home, header)
    _refuse_a_full_disk(home, source)
    _refuse_an_older_server(header, admin_url)
    if admin_url and not is_resumed:
        _refuse_a_database_in_use(admin_url)
    secrets.set_environment(keys)
    _set_up_django(home, admin_url)
    _refuse_an_older_drover(header)
    with phase("Checksums"):
        archive.verify(source, Progress("checked", source.stat().st_size))
    say(f"Restoring the backup of {header.at} to {home.root}.")
    home.create_folders(restoring=True)
    with HomeLock(home.runtime_folder / "lock"), contextlib.ExitStack() as stack:
        write_private(home.restore_marker, json.dumps({"id": header.id}) + "\n")
        _Restore(header, keys, home, stack, admin_url).run(source)
        home.restore_marker.unlink()
    say(
        "Restored. You can start Drover. Credentials that were revoked after the backup are valid again: "
        "see docs/howto/backup.md."
    )


def _refuse_other_storage(header: Header) -> None:
    kind, bucket = env.text("DROVER_STORAGE", "local"), env.text("DROVER_STORAGE_BUCKET", "")
    if header.storage != {"kind": kind, "bucket": bucket}:
        raise LocalError(
            f"The backup's files are in the storage {header.storage['kind']} {header.storage['bucket']}: "
            "set DROVER_STORAGE and DROVER_STORAGE_BUCKET to these values."
        )


def _is_interrupted_restore(home: Home, header: Header) -> bool:
    """Return whether a restore of this backup to the home was interrupted.

    Raises LocalError if the home is in use: it is not empty, or a restore of another backup was interrupted.
    """
    if home.restore_marker.exists():
        if json.loads(home.restore_marker.read_text())["id"] == header.id:
            return True
        raise LocalError(
            f"A restore of another backup to {home.root} was interrupted: run that restore again, or remove "
            "the folder."
        )
    if home.root.exists() and (not home.root.is_dir() or any(home.root.iterdir())):
        raise LocalError(
            f"{home.root} is not empty: set DROVER_HOME to an empty folder, or move this folder away."
        )
    return False


def _refuse_a_full_disk(home: Home, source: Path) -> None:
    """Raise LocalError unless twice the archive's size is free.

    A database is larger than its compressed dump.
    """
    existing = next(path for path in (home.root, *home.root.parents) if path.exists())
    needed, free = 2 * source.stat().st_size, shutil.disk_usage(existing).free
    if free < needed:
        raise LocalError(
            f"The disk of {home.root} has {megabytes(free)} left, and {megabytes(needed)} are needed: "
            "free some space, or set DROVER_HOME to a folder on another disk."
        )


def _refuse_an_older_server(header: Header, admin_url: str) -> None:
    major = (
        _server_major_version(admin_url) if admin_url else databases.major_version(wheel_binaries())
    )
    if major < header.server // 10_000:
        raise LocalError(
            f"The backup is from PostgreSQL {header.server // 10_000}, and the server has version {major}: set "
            "DATABASE_URL to a server that is as new, or newer."
        )


def _server_major_version(admin_url: str) -> int:
    try:
        return databases.server_version(admin_url) // 10_000
    except psycopg.OperationalError as refused:
        reason = str(refused).strip().splitlines()[-1]
        raise LocalError(f"The server of DATABASE_URL cannot be used ({reason}).") from refused


def _refuse_a_database_in_use(admin_url: str) -> None:
    if not databases.is_empty(admin_url):
        raise LocalError(
            "The database of DATABASE_URL is not empty: name an empty database, or one that does not exist."
        )


def _set_up_django(home: Home, admin_url: str) -> None:
    """Set Django up, so that its migrations and its storage can be used. Does not connect to the database."""
    import django

    os.environ["DROVER_HOME"] = str(home.root)
    os.environ["DATABASE_URL"] = without_credentials(admin_url or "postgresql://localhost/none")
    django.setup()


def _refuse_an_older_drover(header: Header) -> None:
    from django.db.migrations.loader import MigrationLoader

    known = MigrationLoader(None).disk_migrations or {}
    unknown = [f"{app}.{name}" for app, name in header.migrations if (app, name) not in known]
    if unknown:
        raise LocalError(
            f"The backup is from a newer version of Drover (this version has no migration {unknown[0]}): "
            "restore it with the version of Drover that created it, or a later one."
        )


class _Restore:
    """Writes the restored installation. Each step may be repeated."""

    def __init__(
        self,
        header: Header,
        keys: secrets.Keys,
        home: Home,
        stack: contextlib.ExitStack,
        admin_url: str,
    ) -> None:
        self._header, self._keys, self._home = header, keys, home
        self._stack, self._admin_url = stack, admin_url
        self._extract_folder = home.root / "restored"
        self._secret_key = keys["secret_key"]

    def run(self, source: Path) -> None:
        with phase("Stored files"):
            shutil.rmtree(self._extract_folder, ignore_errors=True)
            archive.extract(source, self._extract_folder, Progress("files", source.stat().st_size))
            self._move_stored_files()
        secrets.write_to_home(self._home, self._keys)
        ensure_keys(self._home.keys)
        with phase("PostgreSQL"):
            self._start_server()
        with phase("Database"):
            self._restore_database()
        with phase("Migrations"):
            self._migrate()
        self._restore_demo()
        self._compare_bucket()
        shutil.rmtree(self._extract_folder)
        os.sync()

    def _move_stored_files(self) -> None:
        storage = self._home.root / "storage"
        shutil.rmtree(storage, ignore_errors=True)
        extracted_storage = self._extract_folder / archive.STORAGE_FOLDER
        if extracted_storage.exists():
            extracted_storage.rename(storage)
        self._home.create_folders(restoring=True)

    def _start_server(self) -> None:
        if self._admin_url:
            return
        server = embedded_server(self._home)
        server.stop_orphan()
        self._stack.enter_context(server)
        self._admin_url = server.url("drover")

    @property
    def _owner_url(self) -> str:
        return env.role_url(self._admin_url, self._secret_key, OWNER)

    def _restore_database(self) -> None:
        """Restore the database. `prepare_database` creates roles and grants; the dump has everything else."""
        prepare_database(self._admin_url, self._secret_key)
        if databases.is_empty(self._admin_url):
            revoke_default_privileges(self._owner_url)
            self._restore_dump(archive.DATABASE_DUMP, self._owner_url, SCHEMAS)
        prepare_database(self._admin_url, self._secret_key)

    def _restore_dump(self, name: str, url: str, schemas: tuple[str, ...]) -> None:
        """Restore a dump with programs that are at least as new as the pg_dump that wrote it."""
        tools = databases.find_tools(self._header.pg_dump, purpose="this backup")
        databases.restore_dump(
            *(tools, url, self._extract_folder / name),
            schemas=schemas,
            server_version=databases.server_version(url),
            on_progress=lambda: None,
        )

    def _migrate(self) -> None:
        """Migrate the backup of an older version of Drover to this one."""
        environment = os.environ | {
            "DROVER_HOME": str(self._home.root),
            "DATABASE_URL": without_credentials(self._admin_url),
            "DROVER_DB_ROLE": "owner",
        }
        command = [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity", "0"]
        result = subprocess.run(
            command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
        )
        if result.returncode:
            reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise LocalError(f"manage.py migrate failed ({reason}).")
        create_engine_tables(self._admin_url, self._secret_key)

    def _restore_demo(self) -> None:
        if not (self._extract_folder / archive.DEMO_DUMP).exists():
            return
        with phase("Demo data"):
            prepare_demo(self._admin_url, self._secret_key)
            warehouse = demo_locations.warehouse_url(self._admin_url, self._secret_key)
            if databases.is_empty(warehouse):
                self._restore_dump(archive.DEMO_DUMP, warehouse, ("public",))

    def _compare_bucket(self) -> None:
        listing = self._extract_folder / archive.BUCKET_LISTING
        if not listing.exists():
            return
        from django.core.files.storage import default_storage

        kind = self._header.storage["kind"]
        with phase("Bucket"), listing.open() as lines:
            missing, changed = files.compare_listing(lines, default_storage, kind)
        for state, keys in (("missing", missing), ("changed", changed)):
            if keys:
                say(f"  {len(keys)} objects of the bucket are {state}, such as {keys[0]}")
