"""The tokens that a turn uses. They are stored after each model call, so a turn that fails has its tokens too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from apps.agent.chat_models import budgets, meters
from apps.agent.turns import tokens
from apps.agent.turns.leases import ClaimedTurn
from apps.agent.turns.thread_saver import ThreadSaver
from apps.agent.turns.threads import in_thread
from apps.agent.turns.tokens import TokenWriter


@asynccontextmanager
async def spend_tokens(
    claimed: ClaimedTurn, writer: TokenWriter, saver: ThreadSaver
) -> AsyncIterator[None]:
    """Store the tokens of the model calls inside the block, also if they fail or the turn is stopped.

    What the writer has collected is stored in the same statement, which is that of
    the next checkpoint. The tokens that are left are read over the turn's
    own connection, which has the scope of the org. Raises ModelFailed if the org has used up its tokens of this month,
    and TurnLeaseLost.
    """
    await budgets.require_tokens(saver.connection, claimed.org_id)
    with meters.count_tokens() as meter:
        try:
            yield
        except BaseException:
            await in_thread(partial(tokens.count, claimed, meter))
            raise
        await writer.flush_with_next_checkpoint(meter)
