"""The setting of kinds that compare a run with its usual range."""

from __future__ import annotations

from apps.alerts.usual.bands import SPREADS
from apps.json import JsonObject

SENSITIVITY: JsonObject = {
    "type": "string",
    "title": "Sensitivity",
    "description": "How little a run may differ from the usual range. High finds more, and has more false alarms.",
    "enum": list(SPREADS),
    "default": "normal",
}
