"""Where this installation's sandboxes stand and what code may take, from the settings."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from apps.engine.contract import SandboxSpec


def for_runs() -> SandboxSpec:
    """A run has its pipeline's time; everything else is limited here."""
    return _spec(settings.SANDBOX_LIMITS)


def for_questions() -> SandboxSpec:
    """Checks and previews: as runs, and short."""
    return _spec({**settings.SANDBOX_LIMITS, **settings.SANDBOX_QUESTION_LIMITS})


def _spec(limits: dict[str, Any]) -> SandboxSpec:
    return SandboxSpec(
        home=str(settings.SANDBOX_HOME), least=settings.SANDBOX_LEAST_ISOLATION, limits=limits
    )
