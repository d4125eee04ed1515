"""Generate the OpenAPI document from the views. A copy of it is committed in docs/reference."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.settings import spectacular_settings

COMMITTED_FILE = Path(settings.BASE_DIR) / "docs" / "reference" / "openapi.yaml"


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """Return the document as dicts and lists. The same code always gives the same document."""
    generator = spectacular_settings.DEFAULT_GENERATOR_CLASS()
    schema: dict[str, Any] = generator.get_schema(request=None, public=True)
    return schema


@lru_cache(maxsize=1)
def as_json() -> bytes:
    return _render(OpenApiJsonRenderer())


def as_yaml() -> str:
    return _render(OpenApiYamlRenderer()).decode()


def _render(renderer: Any) -> bytes:
    content: bytes = renderer.render(document(), renderer_context={})
    return content
