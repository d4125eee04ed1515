"""Looks at the records and writes a few of them to the run's log."""

from apps.engine.destinations.logger.config import LoggerConfig
from apps.engine.destinations.logger.destination import LoggerDestination

KIND = "logger"
TITLE = "Log only"
DESCRIPTION = "Writes a sample of the records to the run's log and keeps none of them."
DOCS_URL = ""
ICON = "text"

Config = LoggerConfig
Destination = LoggerDestination

__all__ = ["DESCRIPTION", "DOCS_URL", "ICON", "KIND", "TITLE", "Config", "Destination"]
