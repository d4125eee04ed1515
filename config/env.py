"""Typed readers for environment variables.

A text or secret may also be in a file: for the variable NAME, the variable `NAME_FILE` has the path of the file.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import tomllib
from base64 import urlsafe_b64encode
from pathlib import Path
from secrets import token_bytes, token_hex
from urllib.parse import quote, unquote, urlencode, urlsplit


class SettingInvalid(Exception):
    """A setting is missing or invalid. The message says how to set it."""


def home() -> Path:
    """Return the folder of this installation. It has the keys, the files and, with `make up`, the database."""
    default = Path(__file__).resolve().parent.parent / ".drover"
    return Path(os.environ.get("DROVER_HOME") or default).resolve()


def version() -> str:
    """Return the version of Drover, which is written in pyproject.toml only."""
    file = Path(__file__).resolve().parent.parent / "pyproject.toml"
    found: str = tomllib.loads(file.read_text())["project"]["version"]
    return found


def text(name: str, default: str | None = None, *, hint: str = "") -> str:
    """Return the value of the variable, else the content of the file in `<name>_FILE`, else the default."""
    if value := os.environ.get(name):
        return value
    if path := os.environ.get(f"{name}_FILE"):
        return _read_file(Path(path), name)
    if default is not None:
        return default
    raise SettingInvalid(f"{name} is not set. {hint or f'Set {name} or {name}_FILE.'}")


def secret(name: str) -> str:
    """Return a secret as `text` does. The default is the content of the key file that `make up` generates."""
    generated = home() / "keys" / name.lower()
    if not os.environ.get(name) and not os.environ.get(f"{name}_FILE") and generated.exists():
        return _read_file(generated, name)
    hint = f"Set {name} or {name}_FILE, or let `make up` generate {generated}."
    return text(name, hint=hint)


def use_installation() -> None:
    """Set DATABASE_URL and other variables to the addresses of `make up` in this home, unless DATABASE_URL is set.

    So a manually started command uses the installation of `make up`.
    """
    file = home() / "run" / "addresses.json"
    if os.environ.get("DATABASE_URL") or os.environ.get("DATABASE_URL_FILE") or not file.exists():
        return
    try:
        addresses = dict(json.loads(_read_file(file, "DATABASE_URL")))
    except ValueError as error:
        raise SettingInvalid(
            f"{file} is damaged: start `make up`, which writes it again."
        ) from error
    for name, value in addresses.items():
        os.environ.setdefault(name, str(value))


def set_placeholder_settings() -> None:
    """Set missing keys and the database URL to unused values, for a command that needs neither keys nor database."""
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
    raise SettingInvalid(f"{name} must be true or false, not {value!r}.")


def integer(name: str, default: int, *, minimum: int = 1) -> int:
    """Return a whole number of at least `minimum`. If the setting is missing or empty, return the default."""
    value = os.environ.get(name) or str(default)
    try:
        number = int(value)
    except ValueError:
        raise SettingInvalid(f"{name} must be a whole number, not {value!r}.") from None
    if number < minimum:
        raise SettingInvalid(f"{name} must be {minimum} or more, not {number}.")
    return number


def words(name: str, default: str = "") -> list[str]:
    """Return the items of a comma-separated list."""
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


def hosts(name: str, default: str, *, public_url: str) -> list[str]:
    """Return the accepted host names and the host of the URL `public_url`. `*` would accept any host, so it is refused."""
    names = words(name, default)
    if any("*" in host for host in names):
        raise SettingInvalid(
            f"{name} must name hosts; it cannot contain *. Use .example.com for example.com and all its subdomains."
        )
    address = urlsplit(public_url).netloc.rpartition("@")[2]
    match = re.fullmatch(r"(\[[^\]]+\]|[^:]+)(?::\d+)?", address)
    return list(dict.fromkeys([*names, *([match[1].lower()] if match else [])]))


def role_password(secret_key: str, role: str) -> str:
    """Return the database password of one of Drover's roles. It is derived from SECRET_KEY."""
    message = f"database-role:{role}".encode()
    return hmac.digest(secret_key.encode(), message, "sha256").hex()[:32]


def role_url(database_url: str, secret_key: str, role: str) -> str:
    """Return `database_url` with the credentials of the role instead of the administrator's."""
    parts = urlsplit(database_url)
    address = parts.netloc.rpartition("@")[2]
    password = quote(role_password(secret_key, role))
    return parts._replace(netloc=f"{role}:{password}@{address}").geturl()


# A lost connection is detected within half a minute. For the server's side see local.database.roles.
KEEPALIVES = {
    "keepalives_idle": "10",  # seconds
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",  # milliseconds
}


def with_keepalives(url: str) -> str:
    """Return `url` with the options KEEPALIVES, unless it already sets them."""
    query = {**KEEPALIVES, **_query_options(url)}
    return urlsplit(url)._replace(query=urlencode(query, quote_via=quote)).geturl()


def database_options(url: str) -> dict[str, str]:
    """Return the driver options in the URL, such as sslmode and sslrootcert."""
    return {
        name: value for name, value in _query_options(url).items() if name not in {"host", "port"}
    }


def database_settings(url: str) -> dict[str, str]:
    """Return Django's NAME, USER, PASSWORD, HOST and PORT for a PostgreSQL URL."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise SettingInvalid(
            "DATABASE_URL must look like postgresql://user:password@host:5432/database."
        )
    query = _query_options(url)
    return {
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.get("host") or unquote(parts.hostname or ""),
        "PORT": query.get("port", str(parts.port or "")),
    }


def identity_providers() -> dict[str, dict[str, str]]:
    """Return the configured identity providers by name.

    A provider is configured if its client id is set: DROVER_GOOGLE_CLIENT_ID, DROVER_GITHUB_CLIENT_ID or
    DROVER_OIDC_CLIENT_ID.
    """
    labels = {
        "google": "Google",
        "github": "GitHub",
        "oidc": text("DROVER_OIDC_NAME", "OpenID Connect"),
    }
    providers = {}
    for name, label in labels.items():
        prefix = f"DROVER_{name.upper()}"
        if not (client_id := text(f"{prefix}_CLIENT_ID", "")):
            continue
        providers[name] = {
            "kind": "openid_connect" if name == "oidc" else name,
            "label": label,
            "client_id": client_id,
            "secret": text(f"{prefix}_CLIENT_SECRET"),
            "issuer": text("DROVER_OIDC_ISSUER") if name == "oidc" else "",
        }
    return providers


def mail_settings(url: str) -> dict[str, str | int | bool]:
    """Return Django's EMAIL_ settings for a URL.

    smtp:// uses STARTTLS unless the URL has `?tls=no`. smtps:// uses TLS from the start.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise SettingInvalid("DROVER_MAIL_URL must look like smtp://user:password@host:587.")
    secure = parts.scheme == "smtps"
    return {
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or (465 if secure else 587),
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": secure,
        "EMAIL_USE_TLS": not secure and _query_options(url).get("tls") != "no",
    }


def _query_options(url: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in urlsplit(url).query.split("&") if pair)
    return {unquote(name): unquote(value) for name, _, value in pairs}


def _read_file(path: Path, name: str) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise SettingInvalid(f"{name}: cannot read {path}: {error.strerror}.") from error
