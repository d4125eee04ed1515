"""Create the database and its four roles with their permissions. Safe to run again and concurrently.

app_owner   owns the tables and runs migrations
app_user    web and worker: rows through row-level security, owns nothing
app_ops     operators: reads, by policy
app_engine  the engine: its own schema and nothing else

Each role also has limits for its sessions: how long a transaction may be idle (if its process froze, or
its host disappeared), how long a statement waits for a lock, and how soon a dead peer is detected.
"""

import os
import time
from collections.abc import Callable
from typing import LiteralString
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import errors, sql

from config import env
from local.errors import LocalError

OWNER, USER, OPERATIONS, ENGINE = ROLES = ("app_owner", "app_user", "app_ops", "app_engine")
REPLACE_ROLES = "DROVER_REPLACE_ROLES"
CONNECT_SECONDS = 5
OLDEST_SERVER = 150_000  # the composite keys use ON DELETE SET NULL of one column
TRIES = 5
# The privileges of the roles on tables, sequences and functions created by migrations.
FOR_NEW: tuple[tuple[LiteralString, LiteralString], ...] = (
    ("SELECT, INSERT, UPDATE, DELETE ON TABLES", "app_user"),
    ("USAGE, SELECT ON SEQUENCES", "app_user"),
    ("SELECT ON TABLES", "app_ops"),
    ("EXECUTE ON FUNCTIONS", "app_user, app_ops"),
)
# A request waits for another session's lock for less than two seconds, then the response is 503. Migrations may
# take long, and wait for locks longer than the transaction of a frozen process may be idle.
LIMITS = {
    OWNER: {"idle_in_transaction_session_timeout": "5min", "lock_timeout": "30s"},
    USER: {
        "idle_in_transaction_session_timeout": "10s",
        "lock_timeout": "1500ms",
        "statement_timeout": "60s",
    },
    OPERATIONS: {
        "idle_in_transaction_session_timeout": "60s",
        "lock_timeout": "1500ms",
        "statement_timeout": "60s",
    },
    ENGINE: {"idle_in_transaction_session_timeout": "10s", "lock_timeout": "1500ms"},
}
DEAD_PEER = {
    "tcp_keepalives_idle": "10s",
    "tcp_keepalives_interval": "5s",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "25s",
}
_LOCK = 0x44524F56  # "DROV" as a number: one preparation at a time per server


def prepare_database(admin_url: str, secret_key: str) -> None:
    """Create the database if missing, the roles, the schemas and the default privileges.

    `admin_url` is `postgresql://user:password@host:port/name` of a user who may create roles. Raises LocalError
    with one sentence if the URL is wrong, the server cannot be reached or the user lacks permissions.
    """
    name = database_name(admin_url)
    _patiently(lambda: _create_database(admin_url, name), admin_url)
    _patiently(lambda: _create_roles(admin_url, secret_key), admin_url)


def database_name(url: str) -> str:
    """Return the name of the database in a URL. Raises LocalError if it is not a PostgreSQL URL."""
    try:
        parts = urlsplit(url)
        name = unquote(parts.path.lstrip("/"))
        usable = parts.scheme in ("postgresql", "postgres") and parts.port != 0 and name
    except ValueError:
        usable = ""
    if not usable:
        raise LocalError(
            "DATABASE_URL is not an address of a PostgreSQL database: write it as "
            "postgresql://user:password@host:5432/name."
        )
    return name


def _create_database(admin_url: str, name: str) -> None:
    try:
        _connect(admin_url).close()
    except psycopg.OperationalError as refused:
        if f'database "{name}" does not exist' not in str(refused):
            raise
    else:
        return
    maintenance = urlsplit(admin_url)._replace(path="/postgres").geturl()
    with _connect(maintenance) as connection:
        try:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except (errors.DuplicateDatabase, errors.UniqueViolation):
            return  # another start was faster


def _create_roles(admin_url: str, secret_key: str) -> None:
    may_replace = os.environ.get(REPLACE_ROLES) == "yes"
    with _connect(admin_url) as connection, connection.transaction():
        _refuse_old_server(connection)
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        for role in ROLES:
            if not may_replace:
                _refuse_roles_of_another(connection, admin_url, secret_key, role)
            ensure_role(connection, role, env.role_password(secret_key, role))
        _grant(connection)
        _limit(connection)


def _refuse_old_server(connection: psycopg.Connection) -> None:
    version = connection.info.server_version
    if version < OLDEST_SERVER:
        raise LocalError(
            f"PostgreSQL {version // 10_000} is too old: use {OLDEST_SERVER // 10_000} or later."
        )


def _refuse_roles_of_another(
    connection: psycopg.Connection, admin_url: str, secret_key: str, role: str
) -> None:
    """Raise LocalError if another installation uses the roles, which belong to the whole server: a new password
    would lock it out.
    """
    if not _exists(connection, role):
        return
    try:
        _connect(env.role_url(admin_url, secret_key, role)).close()
    except psycopg.OperationalError as refused:
        if "authentication failed" not in str(refused):
            return
        raise LocalError(
            f"The role {role} on this server has the password of other Drover keys: use the keys it "
            f"was created with, a separate server, or {REPLACE_ROLES}=yes to take the roles over."
        ) from refused


def _exists(connection: psycopg.Connection, role: str) -> bool:
    return bool(connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).rowcount)


def ensure_role(connection: psycopg.Connection, role: str, password: str) -> None:
    known = _exists(connection, role)
    verb = sql.SQL("ALTER" if known else "CREATE")
    flags = sql.SQL("LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION")
    if known and not _is_superuser(connection):  # Only a superuser may name some of these flags.
        flags = sql.SQL("LOGIN NOCREATEDB NOCREATEROLE")
    connection.execute(
        sql.SQL("{} ROLE {} {} PASSWORD {}").format(
            verb, sql.Identifier(role), flags, sql.Literal(password)
        )
    )


def _is_superuser(connection: psycopg.Connection) -> bool:
    found = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    row = found.fetchone()
    return bool(row and row[0])


def _grant(connection: psycopg.Connection) -> None:
    database = sql.Identifier(connection.info.dbname)
    if not _is_superuser(connection):  # Only a member of the new owner may transfer ownership.
        connection.execute("GRANT app_owner TO CURRENT_USER")
    everyone = sql.SQL(", ").join(sql.Identifier(role) for role in ROLES)
    for statement in (
        "REVOKE CONNECT, TEMPORARY ON DATABASE {database} FROM PUBLIC",
        "GRANT CONNECT ON DATABASE {database} TO {everyone}",
        "GRANT CREATE, TEMPORARY ON DATABASE {database} TO app_owner",
        "ALTER SCHEMA public OWNER TO app_owner",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        "GRANT USAGE ON SCHEMA public TO app_user, app_ops",
        "CREATE SCHEMA IF NOT EXISTS engine AUTHORIZATION app_owner",
        "REVOKE ALL ON SCHEMA engine FROM PUBLIC",
        "GRANT USAGE ON SCHEMA engine TO app_engine",
        "ALTER ROLE app_engine IN DATABASE {database} SET search_path = engine",
        *(_for_new("public", f"GRANT {may} TO {role}") for may, role in FOR_NEW),
        "ALTER DEFAULT PRIVILEGES FOR ROLE app_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
    ):
        connection.execute(sql.SQL(statement).format(database=database, everyone=everyone))


def revoke_default_privileges(owner_url: str) -> None:
    """Remove our default privileges until `prepare_database` runs again, as in a plain database.

    A dump lists the privileges of each table relative to those. In addition to ours, the runtime role could
    modify an append-only table.
    """
    with _connect(owner_url) as connection:
        for may, role in FOR_NEW:
            what = may.rpartition(" ON ")[2]
            revoke = f"ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON {what} FROM {role}"
            connection.execute(sql.SQL(revoke))
        connection.execute("ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC")


def _limit(connection: psycopg.Connection) -> None:
    for role, limits in LIMITS.items():
        for name, value in {**limits, **DEAD_PEER}.items():
            connection.execute(
                sql.SQL("ALTER ROLE {} IN DATABASE {} SET {} = {}").format(
                    sql.Identifier(role),
                    sql.Identifier(connection.info.dbname),
                    sql.Identifier(name),
                    sql.Literal(value),
                )
            )


def _for_new(schema: str, privilege: str) -> str:
    return f"ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA {schema} {privilege}"


def _connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_SECONDS)


def _patiently(action: Callable[[], None], url: str) -> None:
    """Retry while the server starts or two preparations conflict; then raise one sentence."""
    for attempt in range(TRIES):
        try:
            return action()
        except psycopg.Error as refused:
            if attempt == TRIES - 1 or not _may_pass(refused):
                raise LocalError(_sentence(refused, url)) from refused
            time.sleep(0.2 * 2**attempt)
    return None


def _may_pass(refused: psycopg.Error) -> bool:
    """Whether a retry may succeed: the server is starting, or catalogue rows changed concurrently."""
    if isinstance(refused, errors.InternalError_ | errors.SerializationFailure):
        return True
    said = str(refused)
    return "starting up" in said or "Connection refused" in said or "too many clients" in said


def _sentence(refused: psycopg.Error, url: str) -> str:
    parts = urlsplit(url)
    place = f"{parts.hostname or 'localhost'}:{parts.port or 5432}"
    if isinstance(refused, errors.InsufficientPrivilege):
        return (
            f"The user {parts.username} of DATABASE_URL may not prepare the database "
            f"({_first_line(refused)}): use one that may create roles and owns the database."
        )
    if "password authentication failed" in str(refused):
        return f"PostgreSQL at {place} refuses the password in DATABASE_URL: correct it."
    return f"PostgreSQL at {place} could not be used ({_first_line(refused)}): check DATABASE_URL."


def _first_line(refused: psycopg.Error) -> str:
    lines = str(refused).strip().splitlines() or ["no reason given"]
    return lines[0].rpartition("failed: ")[2].removeprefix("FATAL:  ")
