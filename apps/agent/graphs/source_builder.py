"""The source builder: it makes a custom source from documentation, and repairs its code a few times at most."""

from __future__ import annotations

import re
from functools import cache, partial
from typing import Any

from langchain.agents.middleware import AgentMiddleware
from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain_core.messages import AIMessage
from langgraph.checkpoint.base import BaseCheckpointSaver

from apps.agent.graphs import assembly
from apps.agent.graphs.assembly import CompiledGraph
from apps.agent.graphs.middleware import GraphContext, ModelHandler
from apps.agent.models import Graph
from apps.agent.sources import repairs
from apps.agent.turns.leases import ClaimedTurn
from apps.agent.turns.loop import in_thread
from apps.orgs.walls.scope import org_scope

# The text names the class of the failure only, because its message contains text of the API.
STOPPED = (
    "I stopped: the code still fails after {repairs} repairs, so nothing was saved. The last failure is of the class"
    " {failure}; its message is shown above. You can tell me what to change, check the settings that you entered, or"
    " continue with the code under Custom sources."
)
FAILURE_CLASS = re.compile(r'"class":"([a-z_]+)"')


def build(saver: BaseCheckpointSaver[Any]) -> CompiledGraph:
    """Return the graph with this saver. The graph is compiled once in a process."""
    return compiled().copy({"checkpointer": saver})


@cache
def compiled() -> CompiledGraph:
    """Return the graph without a saver."""
    return assembly.assemble(Graph.SOURCE_BUILDER, LimitRepairs())


class LimitRepairs(AgentMiddleware[Any, GraphContext]):
    """Ends a turn in which the first code and all its repairs have failed, with an answer that says so."""

    async def awrap_model_call(
        self, request: ModelRequest[GraphContext], handler: ModelHandler
    ) -> ModelResponse[Any]:
        failure = await in_thread(partial(_last_failure, request.runtime.context.claimed))
        if not failure:
            return await handler(request)
        text = STOPPED.format(repairs=repairs.MAX_REPAIRS, failure=failure)
        return ModelResponse([AIMessage(text)])


def _last_failure(claimed: ClaimedTurn) -> str:
    """Return the class of the last failure if no repair is left, else an empty text."""
    with org_scope(claimed.org_id):
        failed = repairs.failed_checks(claimed.org_id, claimed.turn_id)
        answers = list(failed.order_by("finished_at").values_list("answer", flat=True))
    if len(answers) <= repairs.MAX_REPAIRS:
        return ""
    found = FAILURE_CLASS.search(answers[-1])
    return found[1].replace("_", " ") if found else "invalid code"
