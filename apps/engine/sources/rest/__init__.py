"""Any JSON API, configured without code."""

from apps.engine.sources.rest.config import Config
from apps.engine.sources.rest.source import RestSource

KIND = "rest"
TITLE = "REST API"
DESCRIPTION = "Any JSON API over HTTP: configure where the records are, the pagination and the authentication."
DOCS_URL = "https://www.rfc-editor.org/rfc/rfc9110"
ICON = "globe"

Source = RestSource

__all__ = ["DESCRIPTION", "DOCS_URL", "ICON", "KIND", "TITLE", "Config", "Source"]
