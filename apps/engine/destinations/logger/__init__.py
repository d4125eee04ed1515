"""A destination that writes a sample of the records to the run's log."""

from apps.engine.destinations.logger.config import LoggerConfig
from apps.engine.destinations.logger.destination import LoggerDestination

KIND = "logger"
TITLE = "Log only"
DESCRIPTION = "Writes a sample of the records to the run's log and stores nothing."
DOCS_URL = ""
ICON = "text"

Config = LoggerConfig
Destination = LoggerDestination

__all__ = ["DESCRIPTION", "DOCS_URL", "ICON", "KIND", "TITLE", "Config", "Destination"]
