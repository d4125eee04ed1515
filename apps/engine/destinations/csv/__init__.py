"""CSV files."""

from apps.engine.destinations.csv.config import CsvConfig
from apps.engine.destinations.csv.destination import CsvDestination

KIND = "csv"
TITLE = "CSV files"
DESCRIPTION = "Comma-separated files with a header, in Drover's storage or your own bucket."
DOCS_URL = "https://www.rfc-editor.org/rfc/rfc4180"
ICON = "sheet"

Config = CsvConfig
Destination = CsvDestination

__all__ = ["DESCRIPTION", "DOCS_URL", "ICON", "KIND", "TITLE", "Config", "Destination"]
