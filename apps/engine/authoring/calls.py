"""Whether code is well-formed, and what it says about itself: JSON in, JSON out. Nothing of the code is run.

Both are called in a child of the fork server: even hostile text is parsed only where nothing can be lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.engine.answers import Report
from apps.engine.authoring import transforms, validation

Payload = Mapping[str, Any]


def validate(payload: Payload) -> Report:
    """`{"text"}` to the report as JSON."""
    return validation.validate(payload["text"]).to_json()


def validate_transform(payload: Payload) -> Report:
    """The same of a transform."""
    return transforms.validate(payload["text"]).to_json()
