"""Typed readers for environment variables. `NAME_FILE` is a path to a file with the value, for secrets."""

from __future__ import annotations

import hmac
import json
import os
import re
from base64 import urlsafe_b64encode
from pathlib import Path
from secrets import token_bytes, token_hex
from urllib.parse import quote, unquote, urlencode, urlsplit


class SettingMissing(Exception):
    """A setting is missing or unreadable; the message says which and how to set it."""


def home() -> Path:
    """Return the folder of this installation's keys, files and, in the local setup, its database."""
    default = Path(__file__).resolve().parent.parent / ".drover"
    return Path(os.environ.get("DROVER_HOME") or default).resolve()


def text(name: str, default: str | None = None, *, hint: str = "") -> str:
    """Return the value of NAME, the content of the file NAME_FILE, or the default."""
    if value := os.environ.get(name):
        return value
    if path := os.environ.get(f"{name}_FILE"):
        return _read(Path(path), name)
    if default is not None:
        return default
    raise SettingMissing(f"{name} is not set. {hint or f'Set {name} or {name}_FILE.'}")


def secret(name: str) -> str:
    """Like `text`, falling back to the key file that `make up` generates; there is no built-in default."""
    generated = home() / "keys" / name.lower()
    if not os.environ.get(name) and not os.environ.get(f"{name}_FILE") and generated.exists():
        return _read(generated, name)
    hint = f"Set {name} or {name}_FILE, or let `make up` generate {generated}."
    return text(name, hint=hint)


def adopt_installation() -> None:
    """Let a manually started command use the installation of `make up` in this home, unless it names a database."""
    note = home() / "run" / "addresses.json"
    if os.environ.get("DATABASE_URL") or os.environ.get("DATABASE_URL_FILE") or not note.exists():
        return
    try:
        addresses = dict(json.loads(_read(note, "DATABASE_URL")))
    except ValueError as error:
        raise SettingMissing(f"{note} is damaged: `make up` writes it again.") from error
    for name, value in addresses.items():
        os.environ.setdefault(name, str(value))


def do_without_installation() -> None:
    """For a command that uses neither keys nor database: generate missing values for this process."""
    for name in ("SECRET_KEY", "API_KEY_PEPPER"):
        os.environ.setdefault(name, token_hex(32))
    os.environ.setdefault("ENCRYPTION_KEYS", urlsafe_b64encode(token_bytes(32)).decode())
    os.environ.setdefault("DATABASE_URL", "postgresql://nobody@localhost:1/none")


def flag(name: str, *, default: bool) -> bool:
    value = os.environ.get(name)
    if value is None:
        return default
    if value.lower() in {"1", "true", "yes", "on"}:
        return True
    if value.lower() in {"0", "false", "no", "off"}:
        return False
    raise SettingMissing(f"{name} must be true or false, not {value!r}.")


def integer(name: str, default: int, *, least: int = 1) -> int:
    """Return a whole number; the default if the setting is missing or empty."""
    value = os.environ.get(name) or str(default)
    try:
        number = int(value)
    except ValueError:
        raise SettingMissing(f"{name} must be a whole number, not {value!r}.") from None
    if number < least:
        raise SettingMissing(f"{name} must be {least} or more, not {number}.")
    return number


def words(name: str, default: str = "") -> list[str]:
    """Return a comma-separated list."""
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


def hosts(name: str, default: str, *, besides: str) -> list[str]:
    """Return accepted host names, including the one of the URL `besides`. `*`, which means any, is refused."""
    found = words(name, default)
    if any("*" in host for host in found):
        raise SettingMissing(
            f"{name} must name hosts; it cannot contain *. Use .example.com for all its subdomains."
        )
    public = urlsplit(besides).netloc.rpartition("@")[2]
    named = re.fullmatch(r"(\[[^\]]+\]|[^:]+)(?::\d+)?", public)
    return list(dict.fromkeys([*found, *([named[1].lower()] if named else [])]))


def role_password(secret_key: str, role: str) -> str:
    """Return the database password of one of Drover's roles, the same on every node with the same SECRET_KEY."""
    message = f"database-role:{role}".encode()
    return hmac.digest(secret_key.encode(), message, "sha256").hex()[:32]


def role_url(database_url: str, secret_key: str, role: str) -> str:
    """Return `database_url` with the role's own credentials instead of the administrator's."""
    parts = urlsplit(database_url)
    place = parts.netloc.rpartition("@")[2]
    password = quote(role_password(secret_key, role))
    return parts._replace(netloc=f"{role}:{password}@{place}").geturl()


# A host that disappeared is noticed within half a minute, by us and by the server (local.database.roles).
KEEPALIVES = {
    "keepalives_idle": "10",  # seconds
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",  # milliseconds
}


def kept_alive(url: str) -> str:
    """Return `url` with TCP keepalives, unless it sets them itself."""
    query = {**KEEPALIVES, **_query(url)}
    return urlsplit(url)._replace(query=urlencode(query, quote_via=quote)).geturl()


def database_options(url: str) -> dict[str, str]:
    """Return the driver options in the URL: sslmode, sslrootcert and the like."""
    return {name: value for name, value in _query(url).items() if name not in {"host", "port"}}


def database_parts(url: str) -> dict[str, str]:
    """Return Django's NAME, USER, PASSWORD, HOST and PORT for a PostgreSQL URL."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise SettingMissing(
            "DATABASE_URL must look like postgresql://user:password@host:5432/database."
        )
    query = _query(url)
    return {
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.get("host") or unquote(parts.hostname or ""),
        "PORT": query.get("port", str(parts.port or "")),
    }


def identity_providers() -> dict[str, dict[str, str]]:
    """Return the providers whose client id is set: DROVER_GOOGLE_…, DROVER_GITHUB_… and, with an issuer,
    DROVER_OIDC_…
    """
    known = {
        "google": "Google",
        "github": "GitHub",
        "oidc": text("DROVER_OIDC_NAME", "OpenID Connect"),
    }
    found = {}
    for name, label in known.items():
        prefix = f"DROVER_{name.upper()}"
        if not (client_id := text(f"{prefix}_CLIENT_ID", "")):
            continue
        found[name] = {
            "kind": "openid_connect" if name == "oidc" else name,
            "label": label,
            "client_id": client_id,
            "secret": text(f"{prefix}_CLIENT_SECRET"),
            "issuer": text("DROVER_OIDC_ISSUER") if name == "oidc" else "",
        }
    return found


def mail_parts(url: str) -> dict[str, str | int | bool]:
    """Return Django's EMAIL_ settings for a URL: smtp:// uses STARTTLS unless `?tls=no`, smtps:// uses TLS
    directly.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise SettingMissing("DROVER_MAIL_URL must look like smtp://user:password@host:587.")
    secure = parts.scheme == "smtps"
    return {
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or (465 if secure else 587),
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": secure,
        "EMAIL_USE_TLS": not secure and _query(url).get("tls") != "no",
    }


def _query(url: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in urlsplit(url).query.split("&") if pair)
    return {unquote(name): unquote(value) for name, _, value in pairs}


def _read(path: Path, name: str) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise SettingMissing(f"{name}: cannot read {path}: {error.strerror}.") from error
