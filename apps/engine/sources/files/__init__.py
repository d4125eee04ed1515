"""CSV, JSON, Excel and Parquet files that were uploaded or are at a web address."""

from apps.engine.sources.files.config import Config
from apps.engine.sources.files.source import FilesSource

KIND = "files"
TITLE = "Files"
DESCRIPTION = "CSV, JSON, Excel and Parquet files, also packed, that were uploaded or are at an https:// address."
DOCS_URL = "https://www.rfc-editor.org/rfc/rfc4180"
ICON = "file"

Source = FilesSource

__all__ = ["DESCRIPTION", "DOCS_URL", "ICON", "KIND", "TITLE", "Config", "Source"]
