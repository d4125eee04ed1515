"""Validate code and read its declarations, with JSON as argument and result. The code is not run.

Both functions are called in a child of the fork server, because hostile text may crash a process that parses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.engine.answers import Report
from apps.engine.authoring import transforms, validation

Payload = Mapping[str, Any]


def validate(payload: Payload) -> Report:
    """Validate the source in `payload["text"]` and return the report as JSON."""
    return validation.validate(payload["text"]).to_json()


def validate_transform(payload: Payload) -> Report:
    """Validate the transform in `payload["text"]` and return the report as JSON."""
    return transforms.validate(payload["text"]).to_json()
