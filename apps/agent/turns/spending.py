"""The tokens that a turn uses. They are stored after each model call, so a turn that fails has its tokens too."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from apps.agent.chat_models import budgets, failures, meters
from apps.agent.chat_models.budgets import Budget
from apps.agent.chat_models.failures import ModelFailed
from apps.agent.turns import tokens
from apps.agent.turns.leases import ClaimedTurn
from apps.agent.turns.loop import in_thread
from apps.agent.turns.thread_saver import ThreadSaver
from apps.agent.turns.tokens import TokenWriter

BUDGET_MAX_AGE = (
    1.0  # seconds after which the budget is read again, because other turns use tokens too
)


class Spending:
    """Counts the tokens of one turn, and stops its model calls when the org has used up its tokens of the month."""

    def __init__(self, claimed: ClaimedTurn, writer: TokenWriter, saver: ThreadSaver) -> None:
        self._claimed = claimed
        self._writer = writer
        self._saver = saver
        self._budget: Budget | None = None
        self._read_at = 0.0  # monotonic seconds

    @asynccontextmanager
    async def count_tokens(self) -> AsyncIterator[None]:
        """Store the tokens of the model calls inside the block, also if they fail or the turn is stopped.

        What the writer has collected is stored with the next checkpoint, in one statement. Raises ModelFailed if the
        org has used up its tokens of this month, and TurnLeaseLost.
        """
        budget = await self._require_tokens()
        with meters.count_tokens() as meter:
            try:
                yield
            except BaseException:
                await in_thread(partial(tokens.count_tokens, self._claimed, meter))
                raise
            await self._writer.flush_with_next_checkpoint(meter)
        used = budget.used + meter.input_tokens + meter.output_tokens
        self._budget = replace(budget, used=used)

    @property
    def warning(self) -> str | None:
        """What to tell the user about the tokens of the month. None if this worker has not used any in this turn."""
        return None if self._budget is None else self._budget.warning

    async def _require_tokens(self) -> Budget:
        """Return the budget. It is read over the turn's own connection, which has the scope of the org."""
        if self._budget is None or time.monotonic() - self._read_at > BUDGET_MAX_AGE:
            self._budget = await budgets.read(self._saver.connection, self._claimed.org_id)
            self._read_at = time.monotonic()
        if self._budget.is_used_up:
            raise ModelFailed(failures.BUDGET_USED_UP)
        return self._budget
