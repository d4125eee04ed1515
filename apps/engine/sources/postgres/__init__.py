"""Tables and views of a PostgreSQL database."""

from apps.engine.sources.postgres.config import Config
from apps.engine.sources.postgres.source import PostgresSource

KIND = "postgres"
TITLE = "PostgreSQL"
DESCRIPTION = "Tables and views of a PostgreSQL database, complete or only rows that are new since the last run."
DOCS_URL = "https://www.postgresql.org/docs/current/libpq-connect.html"
ICON = "postgres"

Source = PostgresSource

__all__ = ["DESCRIPTION", "DOCS_URL", "ICON", "KIND", "TITLE", "Config", "Source"]
