"""What a custom source says about itself, read from its text without running any of it."""

from apps.engine.authoring.report import Message, Report
from apps.engine.authoring.validation import validate

__all__ = ["Message", "Report", "validate"]
