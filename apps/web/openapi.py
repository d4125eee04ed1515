"""Generate the OpenAPI document from the views, once per process, and its copy in docs/reference."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.settings import spectacular_settings

COMMITTED = Path(settings.BASE_DIR) / "docs" / "reference" / "openapi.yaml"


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """Return the document as plain dicts and lists, deterministic for the same code."""
    generator = spectacular_settings.DEFAULT_GENERATOR_CLASS()
    found: dict[str, Any] = generator.get_schema(request=None, public=True)
    return found


@lru_cache(maxsize=1)
def as_json() -> bytes:
    return _rendered(OpenApiJsonRenderer())


def as_yaml() -> str:
    return _rendered(OpenApiYamlRenderer()).decode()


def _rendered(renderer: Any) -> bytes:
    found: bytes = renderer.render(document(), renderer_context={})
    return found
