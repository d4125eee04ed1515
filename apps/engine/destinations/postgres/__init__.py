"""Tables in a PostgreSQL database."""

from apps.engine.destinations.postgres.config import PostgresConfig
from apps.engine.destinations.postgres.destination import PostgresDestination

KIND = "postgres"
TITLE = "PostgreSQL"
DESCRIPTION = "Tables in your own PostgreSQL database: replaced, appended to or merged by key."
DOCS_URL = "https://www.postgresql.org/docs/current/"
ICON = "postgresql"

Config = PostgresConfig
Destination = PostgresDestination

__all__ = ["DESCRIPTION", "DOCS_URL", "ICON", "KIND", "TITLE", "Config", "Destination"]
