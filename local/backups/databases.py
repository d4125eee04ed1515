"""Dump a consistent snapshot of a database, and fill an empty database, with PostgreSQL's own programs."""

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg

from local.database.binaries import wheel_binaries
from local.errors import LocalError
from local.terminal import say

PROGRAMS = ("pg_dump", "pg_restore", "psql")
DEBIAN_FOLDER = Path("/usr/lib/postgresql")
LOCK_WAIT_SECONDS = 60
# If the backup process freezes, the engine is blocked for at most this time.
MAX_LOCK_SECONDS = 30.0
KEEP_ALIVE_SECONDS = 5.0
# pg_restore writes this statement since version 17, also for older servers, which do not know the setting.
SET_TRANSACTION_TIMEOUT = b"SET transaction_timeout = 0;\n"
TRANSACTION_TIMEOUT_VERSION = 17

OnProgress = Callable[[], None]  # called repeatedly while a program is running


@dataclass(frozen=True)
class Tools:
    """A folder with pg_dump, pg_restore and psql of one major version."""

    folder: Path
    major: int


class Snapshot:
    """A state of the database. Other connections can read it by its exported `name`.

    The engine cannot commit until `release` is called.
    """

    def __init__(self, url: str) -> None:
        """Lock the engine's tables and export the snapshot. Raises psycopg.errors.LockNotAvailable."""
        self._lock_connection = _connect(url, idle_seconds=MAX_LOCK_SECONDS)
        self._lock_connection.execute("BEGIN")
        self._lock_connection.execute(
            "LOCK TABLE engine.stream_jobs, engine.engine_batch IN SHARE MODE"
        )
        self._last_statement = time.monotonic()
        self.reader = _connect(url, idle_seconds=0)
        self.reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        row = self.reader.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None  # noqa: S101 - a SELECT without FROM has one row
        self.name: str = row[0]
        self.server_version = self.reader.info.server_version

    def keep_alive(self) -> None:
        """Send a statement if the last one is KEEP_ALIVE_SECONDS ago, so that the server keeps the connection open."""
        if time.monotonic() - self._last_statement > KEEP_ALIVE_SECONDS:
            self._check_connection()
            self._last_statement = time.monotonic()

    def release(self) -> None:
        """Let the engine commit again. Raises LocalError if the server has already released the lock."""
        self._check_connection()
        self._lock_connection.close()

    def _check_connection(self) -> None:
        try:
            self._lock_connection.execute("SELECT 1")
        except psycopg.Error as ended:
            raise LocalError(
                f"The backup was frozen for more than {MAX_LOCK_SECONDS:.0f} s or lost the database, so the "
                "files may not match the database: run it again."
            ) from ended

    def close(self) -> None:
        self._lock_connection.close()
        self.reader.close()


def find_tools(version: int, *, purpose: str) -> Tools:
    """Return the oldest tools of `version` or later. Raises LocalError if this machine has none."""
    installed = sorted(_installed_tools(), key=lambda tools: tools.major)
    for tools in installed:
        if tools.major >= version:
            return tools
    newest = f"this machine has version {installed[-1].major}" if installed else "none is installed"
    raise LocalError(
        f"pg_dump and pg_restore of PostgreSQL {version} or later are needed for {purpose} ({newest}): "
        f"install the package postgresql-client-{version}."
    )


def _installed_tools() -> Iterator[Tools]:
    folders = [Path(name) for name in os.environ.get("PATH", "").split(os.pathsep) if name]
    with contextlib.suppress(LocalError):
        folders.insert(0, wheel_binaries())
    folders += sorted(DEBIAN_FOLDER.glob("*/bin"))
    for folder in folders:
        is_complete = all(shutil.which(name, path=str(folder)) for name in PROGRAMS)
        if is_complete and (major := major_version(folder)):
            yield Tools(folder, major)


def major_version(folder: Path) -> int:
    """Return the major version of the programs in a folder, or 0 if they cannot run."""
    result = subprocess.run(
        [folder / "pg_dump", "--version"], capture_output=True, text=True, check=False
    )
    number = re.search(r"\) (\d+)", result.stdout)
    return int(number[1]) if number else 0


@contextlib.contextmanager
def pause_engine(url: str) -> Iterator[Snapshot]:
    """Prevent the engine from committing until `release` is called, so that copied files match the database.

    Runs do not fail; they wait at their next checkpoint. The snapshot is readable until the block ends.
    """
    with contextlib.closing(Snapshot(url)) as snapshot:
        yield snapshot


def _connect(url: str, *, idle_seconds: float) -> psycopg.Connection:
    connection = psycopg.connect(url, autocommit=True, connect_timeout=10)
    connection.execute("SET statement_timeout = 0")
    for name, seconds in (
        ("lock_timeout", LOCK_WAIT_SECONDS),
        ("idle_in_transaction_session_timeout", idle_seconds),
    ):
        connection.execute("SELECT set_config(%s, %s, false)", [name, f"{seconds * 1000:.0f}ms"])
    return connection


def dump(
    tools: Tools,
    url: str,
    target: Path,
    *,
    schemas: Sequence[str],
    on_progress: OnProgress,
    snapshot: str = "",
) -> None:
    """Write the schemas in PostgreSQL's custom format. Raises LocalError with pg_dump's message."""
    target.touch(mode=0o600, exist_ok=False)
    command: list[str | Path] = [
        *(tools.folder / "pg_dump", "--format=custom", f"--file={target}", "--no-password"),
        *(f"--schema={name}" for name in schemas),
        *([f"--snapshot={snapshot}"] if snapshot else []),
        _without_password(url),
    ]
    process = _start_program(command, url)
    _wait_for_program(process, "pg_dump", on_progress)


def restore_dump(
    tools: Tools,
    url: str,
    source: Path,
    *,
    schemas: Sequence[str],
    server_version: int,
    on_progress: OnProgress,
) -> None:
    """Restore the contents of the schemas in one transaction."""
    restore_command: list[str | Path] = [
        *(tools.folder / "pg_restore", "--no-owner", "--exit-on-error", "--no-password"),
        *(f"--schema={name}" for name in schemas),
    ]
    if (
        tools.major < TRANSACTION_TIMEOUT_VERSION
        or server_version // 10_000 >= TRANSACTION_TIMEOUT_VERSION
    ):
        target_options = ["--single-transaction", f"--dbname={_without_password(url)}"]
        _wait_for_program(
            _start_program([*restore_command, *target_options, source], url),
            "pg_restore",
            on_progress,
        )
        return
    _restore_to_older_server(tools, [*restore_command, "--file=-", source], url, on_progress)


def _restore_to_older_server(
    tools: Tools, restore_command: list[str | Path], url: str, on_progress: OnProgress
) -> None:
    """Restore through psql, without the statement SET_TRANSACTION_TIMEOUT."""
    psql_command: list[str | Path] = [
        *(tools.folder / "psql", "--no-psqlrc", "--quiet", "--no-password", "--single-transaction"),
        *("--set=ON_ERROR_STOP=1", "--output=/dev/null", "--file=-", _without_password(url)),
    ]
    writer = subprocess.Popen(restore_command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    reader = _start_program(psql_command, url, stdin=subprocess.PIPE)
    assert writer.stdout is not None  # noqa: S101 - it is a pipe
    assert reader.stdin is not None  # noqa: S101 - it is a pipe
    is_before_setting = True
    # If psql ends early, `_wait_for_program` below reports the reason.
    with contextlib.suppress(BrokenPipeError), reader.stdin as script:
        for line in writer.stdout:
            if is_before_setting and line == SET_TRANSACTION_TIMEOUT:
                is_before_setting = False
                continue
            script.write(line)
    writer.stdout.close()
    reader.stdin = None  # The pipe is closed, so `communicate` must not use it.
    _wait_for_program(reader, "psql", on_progress)
    _wait_for_program(writer, "pg_restore", on_progress)


def is_empty(url: str) -> bool:
    """Whether the database has no tables in the schemas that Drover uses, or does not exist."""
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            found = connection.execute(
                "SELECT EXISTS (SELECT FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace"
                " IN (SELECT oid FROM pg_namespace WHERE nspname IN ('public', 'engine', 'agent')))"
            ).fetchone()
    except psycopg.OperationalError as refused:
        if "does not exist" in str(refused):
            return True
        raise
    return found == (False,)


def server_version(url: str) -> int:
    """Return the server's version number, such as 180006, even if the database does not exist."""
    with psycopg.connect(urlsplit(url)._replace(path="/postgres").geturl()) as connection:
        return connection.info.server_version


def _start_program(
    command: list[str | Path], url: str, *, stdin: int = subprocess.DEVNULL
) -> "subprocess.Popen[bytes]":
    """Start the program. The password is in the environment, because all users of the machine can read arguments."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    password = unquote(urlsplit(url).password or "")
    return subprocess.Popen(
        command,
        env=environment | {"PGPASSWORD": password, "LC_ALL": "C"},
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _wait_for_program(
    process: "subprocess.Popen[bytes]", name: str, on_progress: OnProgress
) -> None:
    while True:
        try:
            _, errors = process.communicate(timeout=1)
        except subprocess.TimeoutExpired:
            on_progress()
            continue
        except BaseException:
            process.kill()
            process.wait()
            raise
        break
    lines = errors.decode(errors="replace").strip().splitlines()
    if process.returncode:
        raise LocalError(f"{name} failed ({lines[-1] if lines else process.returncode}).")
    for line in lines:
        say(f"  {line}")


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    user, _, address = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}@{address}").geturl()
