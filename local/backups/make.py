"""`manage.py backup`: write the database and the stored files of the same moment to one file, the keys to another."""

import contextlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from config import env
from local.backups import archive, databases, files, secrets
from local.backups.archive import Header, Writer
from local.backups.databases import Snapshot, Tools
from local.backups.progress import Progress, megabytes
from local.database.postgres import EmbeddedPostgres
from local.database.roles import OWNER
from local.demo import locations as demo_locations
from local.errors import LocalError
from local.home import Home
from local.installation import embedded_server, without_credentials
from local.lock_file import HomeLock
from local.terminal import phase, say

SCHEMAS = ("public", "engine", "agent")


def backup(target: Path, keys_file: Path, *, home: Home) -> None:
    """Write the backup and the keys, readable by their owner only. If this raises LocalError, neither was written."""
    _refuse_to_overwrite(target, keys_file)
    home.create_folders()
    say(f"Backing up Drover to {target}. Drover may keep running.")
    busy_message = f"Another backup of {home.root} is running: wait until it has finished."
    with (
        HomeLock(home.runtime_folder / "backup.lock", busy_message=busy_message),
        ensure_running_database(home),
    ):
        keys = secrets.read_installation_keys(home)
        with _temporary_folder_beside(target) as work_folder, _folder_for_copies(home) as copies:
            _Backup(keys, work_folder, copies).write(work_folder / target.name)
            secrets.write(keys_file, keys)
            (work_folder / target.name).replace(target)
    say(f"  {target}  {megabytes(target.stat().st_size)}")
    say(f"  {keys_file}  the keys")
    say(
        "Store the two files in different places: a restore needs both, and both together reveal every secret."
    )


def _refuse_to_overwrite(*paths: Path) -> None:
    if len(set(paths)) < len(paths):
        raise LocalError("The keys must be in a separate file: choose another name for the file.")
    for path in paths:
        if path.exists():
            raise LocalError(f"{path} already exists: choose another name, or move it away.")
        if not path.parent.is_dir():
            raise LocalError(f"The folder {path.parent} does not exist: create it first.")


@contextlib.contextmanager
def ensure_running_database(home: Home) -> Iterator[None]:
    """Set DATABASE_URL, and start the home's own server if the installation uses it and it is not running."""
    is_set = os.environ.get("DATABASE_URL") or os.environ.get("DATABASE_URL_FILE")
    if is_set or not home.cluster.exists() or EmbeddedPostgres(home.cluster).running_pid():
        env.use_installation()
        yield
        return
    with HomeLock(home.runtime_folder / "lock"):
        server = embedded_server(home)
        server_url = without_credentials(server.url("drover"))
        env.use_installation()
        # Do not start the home's own server if `make up` uses another one.
        if os.environ.setdefault("DATABASE_URL", server_url) != server_url:
            yield
            return
        with server:
            yield


@contextlib.contextmanager
def _temporary_folder_beside(target: Path) -> Iterator[Path]:
    """Yield a private folder on the same disk as the backup. It is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def _folder_for_copies(home: Home) -> Iterator[Path]:
    """Yield the path for copies of the stored files, on the same disk. Copies of an earlier backup are removed."""
    folder = home.runtime_folder / "backup"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Backup:
    """Writes one backup. Django's settings describe the installation."""

    def __init__(self, keys: secrets.Keys, work_folder: Path, copies_folder: Path) -> None:
        from django.conf import settings

        self._keys, self._work_folder, self._copies_folder = keys, work_folder, copies_folder
        self._url = env.role_url(settings.DATABASE_URL, keys["secret_key"], OWNER)
        self._kind: str = settings.STORAGE_KIND
        self._bucket: str = settings.STORAGE_BUCKET
        self._storage = Path(settings.STORAGE_OPTIONS["local"]["location"])

    def write(self, target: Path) -> None:
        with databases.pause_engine(self._url) as snapshot:
            with phase("Stored files"):
                stored_bytes = self._copy_stored_files(snapshot)
                snapshot.release()
            tools = databases.find_tools(snapshot.server_version // 10_000, purpose="a backup")
            header = self._make_header(snapshot, tools, stored_bytes)
            with phase("Database"):
                self._dump(tools, snapshot)
        with phase("Archive"):
            self._pack(target, header)

    def _copy_stored_files(self, snapshot: Snapshot) -> int:
        if self._kind != "local":
            return 0
        return files.copy_files(self._storage, self._copies_folder, keep_alive=snapshot.keep_alive)

    def _make_header(self, snapshot: Snapshot, tools: Tools, stored_bytes: int) -> Header:
        return Header(
            id=uuid.uuid4().hex,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            server=snapshot.server_version,
            pg_dump=tools.major,
            migrations=_applied_migrations(snapshot.reader),
            storage={"kind": self._kind, "bucket": self._bucket},
            keys=secrets.fingerprints(self._keys),
            bytes=stored_bytes,
        )

    def _dump(self, tools: Tools, snapshot: Snapshot) -> None:
        dump = self._work_folder / archive.DATABASE_DUMP
        progress = Progress("database")
        databases.dump(
            *(tools, self._url, dump),
            schemas=SCHEMAS,
            snapshot=snapshot.name,
            on_progress=lambda: progress.watch(dump),
        )
        warehouse_url = self._demo_warehouse_url()
        if warehouse_url:
            target = self._work_folder / archive.DEMO_DUMP
            databases.dump(
                tools, warehouse_url, target, schemas=("public",), on_progress=lambda: None
            )

    def _demo_warehouse_url(self) -> str:
        """Return the URL of the demo's warehouse; empty if this server has no demo."""
        url = demo_locations.warehouse_url(self._url, self._keys["secret_key"])
        try:
            psycopg.connect(url, connect_timeout=10).close()
        except psycopg.OperationalError:
            return ""
        return url

    def _pack(self, target: Path, header: Header) -> None:
        dumps = [path for path in self._work_folder.iterdir() if path.suffix == ".dump"]
        total = header.bytes + sum(path.stat().st_size for path in dumps)
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            writer = Writer(file, Progress("archive", total))
            archive.write_header(writer, header)
            for path in dumps:
                writer.add(path.name, path)
            self._pack_stored_files(writer)
            writer.close()
            file.flush()
            os.fsync(file.fileno())

    def _pack_stored_files(self, writer: Writer) -> None:
        if self._kind == "local":
            for path in sorted(self._copies_folder.rglob("*")):
                if path.is_file():
                    writer.add(
                        f"{archive.STORAGE_FOLDER}{path.relative_to(self._copies_folder)}", path
                    )
            return
        from django.core.files.storage import default_storage

        listing = self._work_folder / archive.BUCKET_LISTING
        with listing.open("w") as file:
            file.writelines(files.list_objects(default_storage, self._kind))
        writer.add(archive.BUCKET_LISTING, listing)


def _applied_migrations(reader: psycopg.Connection) -> list[list[str]]:
    rows = reader.execute("SELECT app, name FROM public.django_migrations ORDER BY id").fetchall()
    return [list(row) for row in rows]
