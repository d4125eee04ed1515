"""Create the database and its four roles with their permissions. Safe to run again and concurrently.

app_owner   owns the tables and runs migrations
app_user    for web and worker: reads and writes rows through row-level security, owns nothing
app_ops     for operators: only reads
app_engine  for the engine: has its own schema and no other

Each role also has limits for its sessions: how long a transaction may be idle, how long a statement waits for a lock,
and how soon a lost connection is detected.
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
REPLACE_ROLES_VARIABLE = "DROVER_REPLACE_ROLES"
CONNECT_SECONDS = 5
MIN_SERVER_VERSION = 150_000  # foreign keys use ON DELETE SET NULL for one of their columns, which is new in version 15
MAX_ATTEMPTS = 5
# The privileges of the roles on the tables, sequences and functions that migrations create.
DEFAULT_PRIVILEGES: tuple[tuple[LiteralString, LiteralString], ...] = (
    ("SELECT, INSERT, UPDATE, DELETE ON TABLES", "app_user"),
    ("USAGE, SELECT ON SEQUENCES", "app_user"),
    ("SELECT ON TABLES", "app_ops"),
    ("EXECUTE ON FUNCTIONS", "app_user, app_ops"),
)
# A request that waits for a lock for 1.5 seconds fails, and the response is 503. Migrations may take long. They wait
# for locks longer than a transaction of `app_user` may be idle, so a frozen web process or worker cannot make them
# fail.
SESSION_LIMITS = {
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
KEEPALIVE_LIMITS = {
    "tcp_keepalives_idle": "10s",
    "tcp_keepalives_interval": "5s",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "25s",
}
# The advisory lock allows one preparation of a database at a time. The number is "DROV" in ASCII.
_ADVISORY_LOCK_ID = 0x44524F56


def prepare_database(admin_url: str, secret_key: str) -> None:
    """Create the database if missing, the roles, the schemas and the default privileges.

    `admin_url` is `postgresql://user:password@host:port/name`. Its user must be allowed to create roles. Raises
    LocalError if the URL is invalid, the server cannot be reached, or the user lacks permissions.
    """
    name = database_name(admin_url)
    _retry(lambda: _create_database(admin_url, name), admin_url)
    _retry(lambda: _create_roles(admin_url, secret_key), admin_url)


def database_name(url: str) -> str:
    """Return the name of the database in a URL. Raises LocalError if it is not a PostgreSQL URL."""
    try:
        parts = urlsplit(url)
        name = unquote(parts.path.lstrip("/"))
        is_valid = parts.scheme in ("postgresql", "postgres") and parts.port != 0 and name != ""
    except ValueError:
        is_valid = False
    if not is_valid:
        raise LocalError(
            "DATABASE_URL is not an address of a PostgreSQL database: write it as "
            "postgresql://user:password@host:5432/name."
        )
    return name


def _create_database(admin_url: str, name: str) -> None:
    try:
        _connect(admin_url).close()
    except psycopg.OperationalError as error:
        if f'database "{name}" does not exist' not in str(error):
            raise
    else:
        return
    maintenance_url = urlsplit(admin_url)._replace(path="/postgres").geturl()
    with _connect(maintenance_url) as connection:
        try:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except (errors.DuplicateDatabase, errors.UniqueViolation):
            return  # Another process has created it first.


def _create_roles(admin_url: str, secret_key: str) -> None:
    may_replace = os.environ.get(REPLACE_ROLES_VARIABLE) == "yes"
    with _connect(admin_url) as connection, connection.transaction():
        _refuse_old_server(connection)
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK_ID])
        for role in ROLES:
            if not may_replace:
                _refuse_roles_of_other_installation(connection, admin_url, secret_key, role)
            ensure_role(connection, role, env.role_password(secret_key, role))
        _grant_privileges(connection)
        _set_session_limits(connection)


def _refuse_old_server(connection: psycopg.Connection) -> None:
    version = connection.info.server_version
    if version < MIN_SERVER_VERSION:
        raise LocalError(
            f"PostgreSQL {version // 10_000} is too old: use {MIN_SERVER_VERSION // 10_000} or later."
        )


def _refuse_roles_of_other_installation(
    connection: psycopg.Connection, admin_url: str, secret_key: str, role: str
) -> None:
    """Raise LocalError if the role exists with a password of another installation.

    Roles belong to the whole server, so a new password would lock the other installation out.
    """
    if not _role_exists(connection, role):
        return
    try:
        _connect(env.role_url(admin_url, secret_key, role)).close()
    except psycopg.OperationalError as error:
        if "authentication failed" not in str(error):
            return
        raise LocalError(
            f"The role {role} on this server was created with the keys of another Drover installation: use "
            f"those keys, use a separate server, or set {REPLACE_ROLES_VARIABLE}=yes to take the roles over."
        ) from error


def _role_exists(connection: psycopg.Connection, role: str) -> bool:
    return bool(connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).rowcount)


def ensure_role(connection: psycopg.Connection, role: str, password: str) -> None:
    exists = _role_exists(connection, role)
    verb = sql.SQL("ALTER" if exists else "CREATE")
    flags = sql.SQL("LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION")
    if exists and not _is_superuser(connection):  # Only a superuser may name some of these flags.
        flags = sql.SQL("LOGIN NOCREATEDB NOCREATEROLE")
    connection.execute(
        sql.SQL("{} ROLE {} {} PASSWORD {}").format(
            verb, sql.Identifier(role), flags, sql.Literal(password)
        )
    )


def _is_superuser(connection: psycopg.Connection) -> bool:
    cursor = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    row = cursor.fetchone()
    return bool(row and row[0])


def _grant_privileges(connection: psycopg.Connection) -> None:
    database = sql.Identifier(connection.info.dbname)
    # Only a member of app_owner may make it the owner of a schema.
    if not _is_superuser(connection):
        connection.execute("GRANT app_owner TO CURRENT_USER")
    all_roles = sql.SQL(", ").join(sql.Identifier(role) for role in ROLES)
    for statement in (
        "REVOKE CONNECT, TEMPORARY ON DATABASE {database} FROM PUBLIC",
        "GRANT CONNECT ON DATABASE {database} TO {all_roles}",
        "GRANT CREATE, TEMPORARY ON DATABASE {database} TO app_owner",
        "ALTER SCHEMA public OWNER TO app_owner",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        "GRANT USAGE ON SCHEMA public TO app_user, app_ops",
        "CREATE SCHEMA IF NOT EXISTS engine AUTHORIZATION app_owner",
        "REVOKE ALL ON SCHEMA engine FROM PUBLIC",
        "GRANT USAGE ON SCHEMA engine TO app_engine",
        "CREATE SCHEMA IF NOT EXISTS agent AUTHORIZATION app_owner",
        "REVOKE ALL ON SCHEMA agent FROM PUBLIC",
        "GRANT USAGE ON SCHEMA agent TO app_user",
        "ALTER ROLE app_engine IN DATABASE {database} SET search_path = engine",
        *(
            _default_privilege_statement("public", f"GRANT {privilege} TO {role}")
            for privilege, role in DEFAULT_PRIVILEGES
        ),
        "ALTER DEFAULT PRIVILEGES FOR ROLE app_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
    ):
        connection.execute(sql.SQL(statement).format(database=database, all_roles=all_roles))


def revoke_default_privileges(owner_url: str) -> None:
    """Remove Drover's default privileges. `prepare_database` grants them again.

    A dump assumes PostgreSQL's own default privileges. With Drover's, a restored append-only table would be writable
    for `app_user`.
    """
    with _connect(owner_url) as connection:
        for privilege, role in DEFAULT_PRIVILEGES:
            objects = privilege.rpartition(" ON ")[2]
            statement = (
                f"ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON {objects} FROM {role}"
            )
            connection.execute(sql.SQL(statement))
        connection.execute("ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC")


def _set_session_limits(connection: psycopg.Connection) -> None:
    for role, limits in SESSION_LIMITS.items():
        for name, value in {**limits, **KEEPALIVE_LIMITS}.items():
            connection.execute(
                sql.SQL("ALTER ROLE {} IN DATABASE {} SET {} = {}").format(
                    sql.Identifier(role),
                    sql.Identifier(connection.info.dbname),
                    sql.Identifier(name),
                    sql.Literal(value),
                )
            )


def _default_privilege_statement(schema: str, privilege: str) -> str:
    return f"ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA {schema} {privilege}"


def _connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_SECONDS)


def _retry(action: Callable[[], None], url: str) -> None:
    """Repeat `action` after temporary errors. Raises LocalError after any other error, or if the last try fails."""
    for attempt in range(MAX_ATTEMPTS):
        try:
            return action()
        except psycopg.Error as error:
            if attempt == MAX_ATTEMPTS - 1 or not _is_temporary(error):
                raise LocalError(_error_sentence(error, url)) from error
            time.sleep(0.2 * 2**attempt)
    return None


def _is_temporary(error: psycopg.Error) -> bool:
    """Whether a retry may succeed: the server is starting or busy, or two preparations ran at the same time."""
    if isinstance(error, errors.InternalError_ | errors.SerializationFailure):
        return True
    message = str(error)
    return (
        "starting up" in message or "Connection refused" in message or "too many clients" in message
    )


def _error_sentence(error: psycopg.Error, url: str) -> str:
    parts = urlsplit(url)
    address = f"{parts.hostname or 'localhost'}:{parts.port or 5432}"
    if isinstance(error, errors.InsufficientPrivilege):
        return (
            f"The user {parts.username} of DATABASE_URL may not prepare the database "
            f"({_first_line(error)}): use a user who may create roles and owns the database."
        )
    if "password authentication failed" in str(error):
        return f"PostgreSQL at {address} refuses the password in DATABASE_URL: correct it."
    return f"PostgreSQL at {address} could not be used ({_first_line(error)}): check DATABASE_URL."


def _first_line(error: psycopg.Error) -> str:
    lines = str(error).strip().splitlines() or ["no reason given"]
    return lines[0].rpartition("failed: ")[2].removeprefix("FATAL:  ")
