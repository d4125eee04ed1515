"""The sandbox settings of this installation: the folder for sandboxes, and the limits for code."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from apps.engine.contract import SandboxSpec


def spec_for_runs() -> SandboxSpec:
    """Return the sandbox for runs. It has no time limit, because the pipeline has one."""
    return _spec(settings.SANDBOX_LIMITS)


def spec_for_previews() -> SandboxSpec:
    """Return the sandbox for checks and previews. It has the limits of runs, and a short time limit."""
    return _spec({**settings.SANDBOX_LIMITS, **settings.SANDBOX_QUESTION_LIMITS})


def _spec(limits: dict[str, Any]) -> SandboxSpec:
    return SandboxSpec(
        home=str(settings.SANDBOX_HOME),
        min_isolation=settings.SANDBOX_LEAST_ISOLATION,
        limits=limits,
    )
