"""The locations of the demo's data, which the caller of `manage.py demo` provides in the settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


@dataclass(frozen=True)
class Locations:
    """The locations of the two databases (as libpq URLs), the weather API and the CSV file."""

    source_url: str
    warehouse_url: str
    api_url: str
    api_key: str
    airports: Path

    password: str  # password of the demo user

    @classmethod
    def from_settings(cls) -> Locations:
        """Read the locations from the settings. Raises ImproperlyConfigured if a setting is empty."""
        if missing := [name for name, value in settings.DEMO.items() if not value]:
            raise ImproperlyConfigured(
                f"DROVER_DEMO_{missing[0].upper()} is not set. `make up` sets it."
            )
        texts = {**settings.DEMO}
        airports = Path(texts.pop("airports"))
        return cls(**texts, airports=airports)


def connection_settings(url: str) -> dict[str, Any]:
    """Convert a libpq URL to the settings of a PostgreSQL connector."""
    parts = urlsplit(url)
    return {
        "host": parts.hostname or "127.0.0.1",
        "port": parts.port or 5432,
        "database": unquote(parts.path.lstrip("/")),
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
    }
