"""The tokens that an org uses in a month, and their limit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

from django.conf import settings
from django.db.models import F

from apps.agent.chat_models import failures
from apps.agent.chat_models.failures import ModelFailed
from apps.agent.models import ModelSettings, ModelUsage

WARNING_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Budget:
    """The tokens of the current month. `limit` is None if there is no limit."""

    used: int
    limit: int | None

    @property
    def is_used_up(self) -> bool:
        return self.limit is not None and self.used >= self.limit

    @property
    def warning(self) -> str:
        """A sentence for the user from 80 % on, else an empty text."""
        if self.limit is None or self.used < self.limit * WARNING_SHARE:
            return ""
        if self.is_used_up:
            return failures.BUDGET_USED_UP.message
        percent = self.used * 100 // self.limit
        return f"The organization has used {percent} % of its tokens of this month."


def current(org_id: UUID) -> Budget:
    """Return the budget of this month. Call it inside the org's scope."""
    usage = ModelUsage.objects.for_org(org_id).filter(month=_this_month()).first()
    used = usage.input_tokens + usage.output_tokens if usage else 0
    return Budget(used, _limit(org_id))


def require_tokens(org_id: UUID) -> None:
    """Raise ModelFailed if the tokens of this month are used up. Call it inside the org's scope."""
    if current(org_id).is_used_up:
        raise ModelFailed(failures.BUDGET_USED_UP)


def record(org_id: UUID, *, input_tokens: int, output_tokens: int) -> None:
    """Add tokens to this month. Call it inside the org's scope."""
    usages = ModelUsage.objects.for_org(org_id)
    usage, _ = usages.get_or_create(month=_this_month(), defaults={"org_id": org_id})
    usages.filter(pk=usage.pk).update(
        input_tokens=F("input_tokens") + input_tokens,
        output_tokens=F("output_tokens") + output_tokens,
    )


def _limit(org_id: UUID) -> int | None:
    row = ModelSettings.objects.for_org(org_id).first()
    if row is not None:
        return row.monthly_tokens
    return settings.AGENT_MODEL_MONTHLY_TOKENS or None if settings.AGENT_MODEL else None


def _this_month() -> date:
    return datetime.now(UTC).date().replace(day=1)
