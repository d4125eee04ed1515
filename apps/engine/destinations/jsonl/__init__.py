"""JSON Lines files."""

from apps.engine.destinations.jsonl.config import JsonlConfig
from apps.engine.destinations.jsonl.destination import JsonlDestination

KIND = "jsonl"
TITLE = "JSON Lines files"
DESCRIPTION = "One JSON object per line, in Drover's storage or your own bucket."
DOCS_URL = "https://jsonlines.org/"
ICON = "braces"

Config = JsonlConfig
Destination = JsonlDestination

__all__ = ["DESCRIPTION", "DOCS_URL", "ICON", "KIND", "TITLE", "Config", "Destination"]
