"""The tokens that a turn uses. They are stored after each model call, so a turn that fails has its tokens too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from apps.agent.chat_models import budgets, meters
from apps.agent.chat_models.meters import Meter
from apps.agent.models import Turn
from apps.agent.turns import leases
from apps.agent.turns.leases import ClaimedTurn
from apps.agent.turns.thread_saver import ThreadSaver
from apps.agent.turns.threads import in_thread
from apps.agent.turns.tokens import TokenWriter
from apps.orgs.walls.scope import org_scope


@asynccontextmanager
async def spend_tokens(
    claimed: ClaimedTurn, writer: TokenWriter, saver: ThreadSaver
) -> AsyncIterator[None]:
    """Store the tokens of the model calls inside the block, also if they fail or the turn is stopped.

    What the writer has collected is stored in the same transaction. The tokens that are left are read over the turn's
    own connection, which has the scope of the org. Raises ModelFailed if the org has used up its tokens of this month,
    and TurnLeaseLost.
    """
    await budgets.require_tokens(saver.connection, claimed.org_id)
    with meters.count_tokens() as meter:
        try:
            yield
        except BaseException:
            await in_thread(partial(record, claimed, meter))
            raise
        await writer.flush(partial(_record, meter=meter))


def record(claimed: ClaimedTurn, meter: Meter) -> None:
    """Add the tokens of a model call to the turn and to the month. Raises TurnLeaseLost."""
    with org_scope(claimed.org_id):
        _record(leases.locked(claimed), meter=meter)


def _record(turn: Turn, *, meter: Meter) -> None:
    if not (meter.input_tokens or meter.output_tokens):
        return
    turn.input_tokens += meter.input_tokens
    turn.output_tokens += meter.output_tokens
    turn.save(update_fields=["input_tokens", "output_tokens"])
    budgets.record(turn.org_id, input_tokens=meter.input_tokens, output_tokens=meter.output_tokens)
