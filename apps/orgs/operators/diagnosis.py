"""The checks of `manage.py doctor`. Each `check_` function is one check. Its docstring says what must be true."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice

import psycopg
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.apps import apps
from django.conf import settings
from django.db import connections

from apps.auth import sealing
from apps.background import connections as connection_needs
from apps.background import health, memory, private, registry
from apps.background.health import Finding, run_check
from apps.engine.sandbox import selftest
from apps.engine.sandbox.process import SandboxSite
from apps.orgs.models import Org
from apps.orgs.tenancy import OrgOwned
from apps.telemetry.exporting import accepts_traces

MAX_CLOCK_SKEW = 2.0  # seconds
MAX_FILES_SHOWN = 5
FILE_ACCESS_STEP = "Restart Drover as the owner of these files, which corrects their modes, or run chmod -R go= on them."
PREPARE_STEP = "Prepare the database again: `make up`, or local.database.roles.prepare_database on your server."


def run_checks() -> Iterator[Finding]:
    """Run all checks. The database is checked first, because most other checks need it."""
    database = health.check_database()
    yield database
    yield check_settings()
    yield health.check_storage_now()
    yield health.check_disk_space()
    yield check_file_access()
    yield check_memory()
    yield health.check_mail()
    yield check_telemetry()
    yield check_isolation()
    if not database.ok:
        return
    checks: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("roles", check_database_roles),
        ("log-ins", check_role_logins),
        ("row security", check_row_security),
        ("migrations", health.check_migrations),
        ("keys", check_keys),
        ("clock", check_clock),
        ("connections", connection_needs.check_connections),
    )
    for part, check in checks:
        yield run_check(part, check, PREPARE_STEP)
    for registered in registry.checks():
        yield run_check(registered.part, registered.run, PREPARE_STEP)
    yield from health.check_queue()


def send_tests() -> Iterator[Finding]:
    """Send a test to the operators."""
    for send in registry.test_senders():
        yield from send()


def check_isolation() -> Finding:
    """Custom code is isolated as strongly as the settings require, and an attempt to escape fails."""
    isolation_finding = health.check_isolation()
    if not isolation_finding.ok:
        return isolation_finding
    site = SandboxSite(str(settings.SANDBOX_HOME), settings.SANDBOX_LEAST_ISOLATION)
    result = selftest.test(site)
    if not result.is_secure:
        return Finding(
            "isolation", False, result.reason, "Do not run custom code here, and report this."
        )
    seen = f"{isolation_finding.seen}; self-test passed, ready in {result.start_ms:.0f} ms"
    return Finding("isolation", True, seen)


def check_telemetry() -> Finding:
    """The collector of traces and metrics accepts what we send, if there is one."""
    url = settings.OTLP_URL
    if not url:
        return Finding("telemetry", True, "DROVER_OTLP_URL is not set")
    ok = accepts_traces(url)
    seen = f"{url} accepts traces" if ok else f"{url} could not be reached, or did not accept"
    return Finding("telemetry", ok, seen, "Correct DROVER_OTLP_URL, or start the collector.")


def check_database_roles() -> Finding:
    """The four database roles exist. None can bypass row-level security, or create roles or databases."""
    names = list(settings.DATABASE_ROLES.values())
    privileges = dict(
        health.fetch_rows(
            """SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb
               FROM pg_roles WHERE rolname = ANY (%s)""",
            names,
        )
    )
    missing = sorted(set(names) - set(privileges))
    privileged = sorted(name for name, is_privileged in privileges.items() if is_privileged)
    if missing:
        return Finding("roles", False, f"missing: {', '.join(missing)}", PREPARE_STEP)
    if privileged:
        step = "Run ALTER ROLE … NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB for each of these roles."
        return Finding("roles", False, f"too many privileges: {', '.join(privileged)}", step)
    return Finding("roles", True, f"{', '.join(sorted(privileges))}; none bypasses row security")


def check_role_logins() -> Finding:
    """Each role can log in with the password derived from SECRET_KEY."""
    refused = []
    for role, url in settings.DATABASE_ROLE_URLS.items():
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError:
            refused.append(role)
    step = "Use the SECRET_KEY with which this database was prepared. " + PREPARE_STEP
    seen = f"refused: {', '.join(refused)}" if refused else "every role logs in"
    return Finding("log-ins", not refused, seen, step)


def check_row_security() -> Finding:
    """Every table of an org has row-level security, and a policy for the runtime role."""
    tables = sorted(m._meta.db_table for m in apps.get_models() if issubclass(m, OrgOwned))
    unprotected = health.fetch_rows(
        """SELECT t.name FROM unnest(%s::text[]) t (name)
           LEFT JOIN pg_class c ON c.oid = to_regclass('public.' || t.name) AND c.relrowsecurity
           LEFT JOIN pg_policies p ON p.tablename = t.name AND 'app_user' = ANY (p.roles)
           WHERE c.oid IS NULL OR p.policyname IS NULL GROUP BY 1 ORDER BY 1""",
        tables,
    )
    names = ", ".join(name for (name,) in unprotected)
    step = "Run `manage.py migrate`; if that does not help, restore the policies from a backup's schema."
    seen = f"not protected: {names}" if names else f"enabled for all {len(tables)} tables of orgs"
    return Finding("row security", not names, seen, step)


def check_keys() -> Finding:
    """The platform keys in the settings can decrypt every org's data key."""
    newest = Fernet(settings.ENCRYPTION_KEYS[0])
    unreadable, outdated, count = 0, 0, 0
    try:
        for data_key in Org.objects.using("ops").values_list("data_key", flat=True).iterator():
            count += 1
            if _can_decrypt(newest, data_key):
                continue
            outdated += 1
            unreadable += not _can_decrypt(sealing.platform_keys(), data_key)
    finally:
        connections["ops"].close()
    if unreadable:
        step = "Add the platform key with which they were encrypted to ENCRYPTION_KEYS, after the newest key."
        return Finding(
            "keys",
            False,
            f"the keys of {unreadable} of {count} organizations cannot be decrypted",
            step,
        )
    rotation_hint = (
        f"; {outdated} use an older key, run `manage.py rotate_keys`" if outdated else ""
    )
    organizations = "1 organization" if count == 1 else f"{count} organizations"
    return Finding("keys", True, f"the keys of {organizations} can be decrypted{rotation_hint}")


def _can_decrypt(key: Fernet | MultiFernet, data_key: str) -> bool:
    try:
        key.decrypt(data_key.encode())
    except InvalidToken:
        return False
    return True


def check_clock() -> Finding:
    """The clocks of this machine and the database agree, because leases and schedules depend on them."""
    ((database_time,),) = health.fetch_rows("SELECT clock_timestamp()")
    skew = abs((datetime.now(UTC) - database_time).total_seconds())
    step = "Synchronize both clocks with NTP."
    return Finding("clock", skew <= MAX_CLOCK_SKEW, f"{skew:.3f} s from the database's", step)


def check_settings() -> Finding:
    """No setting is unsafe in production."""
    faults = []
    if settings.DEPLOYMENT not in {"local", "production"}:
        faults.append(f"DROVER_DEPLOYMENT is {settings.DEPLOYMENT!r}, not local or production")
    if settings.BEHIND_TLS and settings.DEBUG:
        faults.append("DROVER_DEBUG is on")
    if settings.BEHIND_TLS and not settings.PUBLIC_URL.startswith("https://"):
        faults.append("DROVER_PUBLIC_URL is not https")
    if settings.BEHIND_TLS and settings.TRUSTED_PROXIES < 1:
        faults.append("DROVER_TRUSTED_PROXIES is 0, so all clients appear with the proxy's address")
    seen = "; ".join(faults) or f"{settings.DEPLOYMENT}, {settings.PUBLIC_URL}"
    return Finding("settings", not faults, seen, "Correct the environment of every process.")


def check_memory() -> Finding:
    """This machine has enough memory for at least one run."""
    child, sandbox = settings.CHILD_MEMORY, settings.SANDBOX_LIMITS["memory"]
    total, memory_per_run = memory.available_memory(), child + sandbox
    seen = (
        f"{total >> 20:,} MB; a worker executes {settings.WORKER_CONCURRENCY} runs at once, and for one organization"
        f" {settings.WORKER_ORG_RUNS} (up to {child >> 20:,} + {sandbox >> 20:,} MB each)"
    )
    step = "Lower DROVER_CHILD_MEMORY_MB and DROVER_SANDBOX_MEMORY_MB, or give this machine more memory."
    return Finding("memory", total >= memory_per_run, seen, "" if total >= memory_per_run else step)


def check_file_access() -> Finding:
    """No other user of this machine can read the files in Drover's home."""
    try:
        readable = list(islice(private.find_open_files(settings.DROVER_HOME), MAX_FILES_SHOWN))
    except OSError as error:
        return Finding(
            "files", False, f"{settings.DROVER_HOME}: {error.strerror}", FILE_ACCESS_STEP
        )
    seen = (
        f"readable by others: {', '.join(readable)}" if readable else "readable by their owner only"
    )
    return Finding("files", not readable, seen, FILE_ACCESS_STEP if readable else "")
