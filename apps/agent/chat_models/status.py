"""What a member sees about the language model that answers."""

from __future__ import annotations

from typing import TypedDict

from apps.agent.chat_models import GUIDED, budgets, choose, own_model
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission


class Status(TypedDict):
    mode: str  # model or guided
    label: str
    is_own: bool  # whether the org has chosen the model
    values_allowed: bool
    warning: str
    used_tokens: int
    limit_tokens: int | None


def read_status(*, org: Org, by: Principal) -> Status:
    """Raises PermissionMissing."""
    by.require(Permission.AGENT_USE)
    own = own_model.find_model(org)
    chosen = choose(org, own)
    budget = budgets.current(org.pk)
    is_guided = chosen.label == GUIDED
    return {
        "mode": GUIDED if is_guided else "model",
        "label": chosen.label,
        "is_own": own is not None,
        "values_allowed": own is not None and own.values_allowed,
        "warning": "" if is_guided else budget.warning,
        "used_tokens": budget.used,
        "limit_tokens": budget.limit,
    }
