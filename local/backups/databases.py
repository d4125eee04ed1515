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
DEBIAN = Path("/usr/lib/postgresql")
LOCK_SECONDS = 60
HOLD_SECONDS = 30.0  # time after which a frozen backup no longer blocks the engine
TOUCH_EVERY = 5.0  # seconds
# Since version 17 pg_restore sets this for every server, and older servers do not know it.
NEW_SETTING = b"SET transaction_timeout = 0;\n"
NEW_SETTING_SINCE = 17

OnProgress = Callable[[], None]  # called repeatedly while a program is running


@dataclass(frozen=True)
class Tools:
    """A folder with pg_dump, pg_restore and psql of one major version."""

    folder: Path
    major: int


class Moment:
    """A state of the database that other sessions can read too, by the name `snapshot`."""

    def __init__(self, url: str) -> None:
        """Raises psycopg.errors.LockNotAvailable if the engine's tables cannot be locked."""
        self._holder = _connect(url, idle_seconds=HOLD_SECONDS)
        self._holder.execute("BEGIN")
        self._holder.execute("LOCK TABLE engine.stream_jobs, engine.engine_batch IN SHARE MODE")
        self._touched = time.monotonic()
        self.reader = _connect(url, idle_seconds=0)
        self.reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        row = self.reader.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None  # noqa: S101 - a SELECT without FROM has one row
        self.snapshot: str = row[0]
        self.server = self.reader.info.server_version

    def touch(self) -> None:
        """Send a statement regularly, so that the session does not count as frozen."""
        if time.monotonic() - self._touched > TOUCH_EVERY:
            self._ask()
            self._touched = time.monotonic()

    def release(self) -> None:
        """Unblock the engine. Raises LocalError if it was unblocked before."""
        self._ask()
        self._holder.close()

    def _ask(self) -> None:
        try:
            self._holder.execute("SELECT 1")
        except psycopg.Error as ended:
            raise LocalError(
                f"It was frozen for more than {HOLD_SECONDS:.0f} s, or lost the database, so the files "
                "may not match the database: run it again."
            ) from ended

    def close(self) -> None:
        self._holder.close()
        self.reader.close()


def tools_for(version: int, *, doing: str) -> Tools:
    """Return the oldest tools of `version` or later. Raises LocalError if there are none on this machine."""
    found = sorted(_found(), key=lambda tools: tools.major)
    for tools in found:
        if tools.major >= version:
            return tools
    have = f"the newest on this machine is {found[-1].major}" if found else "none is installed"
    raise LocalError(
        f"pg_dump and pg_restore of PostgreSQL {version} or later are needed for {doing} ({have}): "
        f"install the package postgresql-client-{version}."
    )


def _found() -> Iterator[Tools]:
    folders = [Path(name) for name in os.environ.get("PATH", "").split(os.pathsep) if name]
    with contextlib.suppress(LocalError):
        folders.insert(0, wheel_binaries())
    folders += sorted(DEBIAN.glob("*/bin"))
    for folder in folders:
        whole = all(shutil.which(name, path=str(folder)) for name in PROGRAMS)
        if whole and (major := major_of(folder)):
            yield Tools(folder, major)


def major_of(folder: Path) -> int:
    """Return the major version of the programs in a folder; 0 if they cannot be run."""
    shown = subprocess.run(
        [folder / "pg_dump", "--version"], capture_output=True, text=True, check=False
    )
    number = re.search(r"\) (\d+)", shown.stdout)
    return int(number[1]) if number else 0


@contextlib.contextmanager
def paused_engine(url: str) -> Iterator[Moment]:
    """Prevent the engine from committing until `release` is called, so that copied files match the database.

    Runs continue; they wait at their next checkpoint. The snapshot stays readable in the block.
    """
    with contextlib.closing(Moment(url)) as moment:
        yield moment


def _connect(url: str, *, idle_seconds: float) -> psycopg.Connection:
    connection = psycopg.connect(url, autocommit=True, connect_timeout=10)
    connection.execute("SET statement_timeout = 0")
    for name, seconds in (
        ("lock_timeout", LOCK_SECONDS),
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
    process = _start(command, url)
    _finish(process, "pg_dump", on_progress)


def fill(
    tools: Tools,
    url: str,
    source: Path,
    *,
    schemas: Sequence[str],
    server: int,
    on_progress: OnProgress,
) -> None:
    """Restore the contents of the schemas in one transaction: everything or nothing."""
    restore: list[str | Path] = [
        *(tools.folder / "pg_restore", "--no-owner", "--exit-on-error", "--no-password"),
        *(f"--schema={name}" for name in schemas),
    ]
    if tools.major < NEW_SETTING_SINCE or server // 10_000 >= NEW_SETTING_SINCE:
        aim = ["--single-transaction", f"--dbname={_without_password(url)}"]
        _finish(_start([*restore, *aim, source], url), "pg_restore", on_progress)
        return
    _fill_older(tools, [*restore, "--file=-", source], url, on_progress)


def _fill_older(tools: Tools, restore: list[str | Path], url: str, on_progress: OnProgress) -> None:
    psql: list[str | Path] = [
        *(tools.folder / "psql", "--no-psqlrc", "--quiet", "--no-password", "--single-transaction"),
        *("--set=ON_ERROR_STOP=1", "--output=/dev/null", "--file=-", _without_password(url)),
    ]
    writer = subprocess.Popen(restore, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    reader = _start(psql, url, stdin=subprocess.PIPE)
    assert writer.stdout is not None  # noqa: S101 - it is a pipe
    assert reader.stdin is not None  # noqa: S101 - so is this
    waiting = True
    with (
        contextlib.suppress(BrokenPipeError),
        reader.stdin as script,
    ):  # psql reports the reason below
        for line in writer.stdout:
            if waiting and line == NEW_SETTING:
                waiting = False
                continue
            script.write(line)
    writer.stdout.close()
    reader.stdin = None  # Closed: `communicate` must not try again.
    _finish(reader, "psql", on_progress)
    _finish(writer, "pg_restore", on_progress)


def is_empty(url: str) -> bool:
    """Whether the database has no tables in the schemas that Drover uses; it may also not exist."""
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            found = connection.execute(
                "SELECT EXISTS (SELECT FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace"
                " IN (SELECT oid FROM pg_namespace WHERE nspname IN ('public', 'engine')))"
            ).fetchone()
    except psycopg.OperationalError as refused:
        if "does not exist" in str(refused):
            return True
        raise
    return found == (False,)


def server_version(url: str) -> int:
    """Return the server's version, whether or not the database exists."""
    with psycopg.connect(urlsplit(url)._replace(path="/postgres").geturl()) as connection:
        return connection.info.server_version


def _start(
    command: list[str | Path], url: str, *, stdin: int = subprocess.DEVNULL
) -> "subprocess.Popen[bytes]":
    """Start the program with the password in the environment, because all users of the machine can read arguments."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    secret = unquote(urlsplit(url).password or "")
    return subprocess.Popen(
        command,
        env=kept | {"PGPASSWORD": secret, "LC_ALL": "C"},
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _finish(process: "subprocess.Popen[bytes]", name: str, on_progress: OnProgress) -> None:
    while True:
        try:
            _, said = process.communicate(timeout=1)
        except subprocess.TimeoutExpired:
            on_progress()
            continue
        except BaseException:
            process.kill()
            process.wait()
            raise
        break
    lines = said.decode(errors="replace").strip().splitlines()
    if process.returncode:
        raise LocalError(f"{name} failed ({lines[-1] if lines else process.returncode}).")
    for line in lines:
        say(f"  {line}")


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    user, _, place = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}@{place}").geturl()
