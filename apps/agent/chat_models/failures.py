"""Classify the exceptions of providers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelFailure:
    code: str
    message: str
    next_step: str


def classify_model_failure(error: Exception) -> ModelFailure | None:
    """Return the failure, or None if the exception does not come from a model."""
    return None
