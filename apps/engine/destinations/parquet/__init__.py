"""Parquet files."""

from apps.engine.destinations.parquet.config import ParquetConfig
from apps.engine.destinations.parquet.destination import ParquetDestination

KIND = "parquet"
TITLE = "Parquet files"
DESCRIPTION = "Columnar files, typed and compressed, in Drover's storage or your own bucket."
DOCS_URL = "https://parquet.apache.org/docs/"
ICON = "file-columns"

Config = ParquetConfig
Destination = ParquetDestination

__all__ = ["DESCRIPTION", "DOCS_URL", "ICON", "KIND", "TITLE", "Config", "Destination"]
