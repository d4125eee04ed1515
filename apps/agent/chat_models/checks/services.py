"""Check a language model: the one that answers now, or one whose settings are not saved.

The web process does not import the clients of providers. So the check runs in a child process, as the checks of
connectors do, and its caller runs the returned `SlowCall` outside of the org's scope.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from functools import partial
from uuid import UUID

from django.utils import timezone

from apps.agent.chat_models import budgets, own_model, platform_model
from apps.agent.chat_models.checks.answers import NAMES, ModelCheckAnswer, make_row
from apps.agent.chat_models.connections import ModelConnection
from apps.agent.chat_models.own_model import DraftFields
from apps.agent.exceptions import BudgetUsedUp, NoLanguageModel
from apps.connectors import engine
from apps.engine.failures import EngineError, Unavailable
from apps.json import JsonObject
from apps.orgs import audit
from apps.orgs.exceptions import Invalid
from apps.orgs.models import AuditEvent, Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.slow_calls import SlowCall
from apps.orgs.walls.scope import org_scope
from apps.web.problems import Problem

MODULE = "apps.agent.chat_models.checks.process"
ACTION = "agent_model.check"
CALL_SECONDS = 70.0  # for the checks and the import of the provider's package
CHECKS_PER_MINUTE = 5  # of an org
MINUTE = timedelta(minutes=1)
# What is counted if the child ends without a report, because the provider counts its requests too.
TOKENS_OF_CHECK = 10_000


def check_model(
    *, org: Org, by: Principal, draft: DraftFields | None = None
) -> SlowCall[ModelCheckAnswer]:
    """Check the model that answers now, or a draft.

    Raises PermissionMissing, Invalid, NoLanguageModel, BudgetUsedUp, and Problem 429 after too many checks.
    """
    by.require(Permission.SETTINGS_EDIT)
    connection = _connection(org, draft)
    if budgets.current(org.pk).is_used_up:
        raise BudgetUsedUp
    _limit_checks(org)
    audit.record(
        org=org,
        by=by,
        action=ACTION,
        object_kind="agent_model",
        object_id=None,
        object_label=_audit_label(connection),
    )
    return SlowCall(
        partial(_run, org.pk, connection),
        lambda current_principal: current_principal.require(Permission.SETTINGS_EDIT),
    )


def _audit_label(connection: ModelConnection) -> str:
    """Return the name of the model for the audit log. Members must not see the URL of the operator's model."""
    if connection.is_of_operator:
        return f"{connection.label} of this installation"
    return f"{connection.label} at {connection.url}"


def _connection(org: Org, draft: DraftFields | None) -> ModelConnection:
    if draft is not None:
        return _connection_of_draft(org, draft)
    connection = (
        own_model.connection_of(org, own_model.find_model(org)) or platform_model.connection()
    )
    if connection is None:
        raise NoLanguageModel
    return connection


def _connection_of_draft(org: Org, draft: DraftFields) -> ModelConnection:
    """Raises Invalid with the paths of the fields in the request."""
    try:
        return own_model.connection_of_draft(org, draft)
    except Invalid as error:
        raise Invalid(
            [(f"draft.{name}", message, code) for name, message, code in error.errors]
        ) from None


def _limit_checks(org: Org) -> None:
    now = timezone.now()
    checks = AuditEvent.objects.for_org(org).filter(action=ACTION, at__gt=now - MINUTE)
    times = list(checks.order_by("-at").values_list("at", flat=True)[:CHECKS_PER_MINUTE])
    if len(times) < CHECKS_PER_MINUTE:
        return
    wait = max(1, round((times[-1] + MINUTE - now).total_seconds()))
    detail = (
        f"This organization has checked language models {CHECKS_PER_MINUTE} times within a minute,"
        f" which is the limit. Try again in {wait} seconds."
    )
    raise Problem(429, detail, "too_many_checks", headers={"Retry-After": str(wait)})


def _run(org_id: UUID, connection: ModelConnection) -> ModelCheckAnswer:
    """Run the check outside of the org's scope, and count its tokens, whoever may see the result. Raises Unavailable."""
    payload: JsonObject = {"kind": "language_model", "connection": asdict(connection)}
    try:
        answer: ModelCheckAnswer = engine.call_function(
            "check_model", module=MODULE, org_id=org_id, payload=payload, seconds=CALL_SECONDS
        )
    except Unavailable:
        raise
    except EngineError as error:
        answer = _interrupted(connection, error)
    with org_scope(org_id):
        budgets.record(
            org_id,
            input_tokens=answer["input_tokens"],
            output_tokens=answer["output_tokens"],
        )
    return answer


def _interrupted(connection: ModelConnection, error: EngineError) -> ModelCheckAnswer:
    """Return the answer of a check that has ended without a report."""
    first, *others = NAMES
    step = "Try again. If it happens again, an operator finds the error in the log."
    message = f"The check was interrupted: {error.message}"
    return {
        "ok": False,
        "model": connection.label,
        "checks": [
            make_row(first, "failed", message, step),
            *(make_row(name, "skipped", "Not checked.") for name in others),
        ],
        "input_tokens": TOKENS_OF_CHECK,
        "output_tokens": 0,
    }
