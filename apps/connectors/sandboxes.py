"""The sandbox settings of this installation: the folder for sandboxes, and the limits of code."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from apps.engine.contract import SandboxSpec


def for_runs() -> SandboxSpec:
    """Return the limits for runs. The pipeline limits the time; everything else is limited here."""
    return _spec(settings.SANDBOX_LIMITS)


def for_questions() -> SandboxSpec:
    """Return the limits for checks and previews: as for runs, but with a short time limit."""
    return _spec({**settings.SANDBOX_LIMITS, **settings.SANDBOX_QUESTION_LIMITS})


def _spec(limits: dict[str, Any]) -> SandboxSpec:
    return SandboxSpec(
        home=str(settings.SANDBOX_HOME), least=settings.SANDBOX_LEAST_ISOLATION, limits=limits
    )
