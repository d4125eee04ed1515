"""Classify what ended a turn, in words for its user."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
import structlog
from django.db import InterfaceError, OperationalError
from rest_framework.exceptions import AuthenticationFailed

from apps.agent.chat_models.failures import ModelFailed
from apps.orgs.exceptions import OrgReadOnly
from apps.web.problems import as_problem

logger = structlog.get_logger(__name__)

# By the code of OrgReadOnly. The members and admins of such an org cannot change it themselves.
NEXT_STEP_WHILE_READ_ONLY = {
    "org_suspended": "Ask an operator of this Drover installation. Try again when the organization is no longer suspended.",
    "org_deleting": "Ask an owner to restore the organization. Then try again.",
}


@dataclass(frozen=True, slots=True)
class TurnFailure:
    code: str
    message: str
    next_step: str


def classify(error: Exception) -> TurnFailure | None:
    """Return the failure, or None if the database is unavailable: then another attempt continues the turn."""
    if isinstance(error, psycopg.OperationalError | OperationalError | InterfaceError):
        return None
    if isinstance(error, ModelFailed):
        failure = error.failure
        return TurnFailure(failure.code, failure.message, failure.next_step)
    if isinstance(error, AuthenticationFailed):  # from turns.acting
        return TurnFailure(
            "not_a_member",
            str(error.detail),
            "Ask an admin of the organization to invite you again.",
        )
    if isinstance(error, OrgReadOnly):
        return TurnFailure(error.code, str(error), NEXT_STEP_WHILE_READ_ONLY[error.code])
    problem = as_problem(error)
    if problem is not None and problem.status < 500:
        return TurnFailure(
            problem.code or "not_allowed", problem.detail, "Ask an admin of the organization."
        )
    logger.error("a turn failed", exc_info=error)
    return TurnFailure(
        "internal",
        "The agent stopped because of an error in Drover.",
        "Try again. If it happens again, an operator finds the error in the worker's log.",
    )
