"""Where the demo's data comes from and goes to. Whoever runs `manage.py demo` says so in the environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from config import env


@dataclass(frozen=True)
class Places:
    """The two databases (libpq addresses), the weather API and the CSV file."""

    source_url: str
    warehouse_url: str
    api_url: str
    api_key: str
    airports: Path

    @classmethod
    def from_environment(cls) -> Places:
        """Raises SettingMissing."""
        hint = "`make up` sets it."
        return cls(
            source_url=env.text("DROVER_DEMO_SOURCE_URL", hint=hint),
            warehouse_url=env.text("DROVER_DEMO_WAREHOUSE_URL", hint=hint),
            api_url=env.text("DROVER_DEMO_API_URL", hint=hint),
            api_key=env.text("DROVER_DEMO_API_KEY", hint=hint),
            airports=Path(env.text("DROVER_DEMO_AIRPORTS", hint=hint)),
        )


def connection_settings(url: str) -> dict[str, Any]:
    """An address as the settings of a PostgreSQL connector."""
    parts = urlsplit(url)
    return {
        "host": parts.hostname or "127.0.0.1",
        "port": parts.port or 5432,
        "database": unquote(parts.path.lstrip("/")),
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
    }
