"""Tables in a DuckDB file of Drover's own storage."""

from apps.engine.destinations.duckdb.config import DuckdbConfig
from apps.engine.destinations.duckdb.destination import DuckdbDestination

KIND = "duckdb"
TITLE = "DuckDB"
DESCRIPTION = "Tables in a DuckDB database file, kept in Drover's storage on one machine."
DOCS_URL = "https://duckdb.org/docs/"
ICON = "duckdb"

Config = DuckdbConfig
Destination = DuckdbDestination

__all__ = ["DESCRIPTION", "DOCS_URL", "ICON", "KIND", "TITLE", "Config", "Destination"]
