"""Any JSON API, described rather than programmed."""

from apps.engine.sources.rest.config import Config
from apps.engine.sources.rest.source import RestSource

KIND = "rest"
TITLE = "REST API"
DESCRIPTION = (
    "Any JSON API over HTTP: say where the records are, how pages follow, and how to log in."
)
DOCS_URL = "https://www.rfc-editor.org/rfc/rfc9110"
ICON = "globe"

Source = RestSource

__all__ = ["DESCRIPTION", "DOCS_URL", "ICON", "KIND", "TITLE", "Config", "Source"]
