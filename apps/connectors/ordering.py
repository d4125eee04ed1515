"""The `order` parameter of a list in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterable

from drf_spectacular.utils import OpenApiParameter


def ordering(words: Iterable[str], default: str) -> OpenApiParameter:
    """`words` are what `?order=` may say."""
    return OpenApiParameter("order", {"type": "string", "enum": list(words), "default": default})
