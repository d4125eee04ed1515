"""What all graphs share: LangChain's agent with the tools of one graph and the same middleware."""

from __future__ import annotations

from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.outputs import ChatResult
from langchain_core.tools import BaseTool
from langchain_core.utils.json_schema import dereference_refs
from langgraph.graph.state import CompiledStateGraph

from apps.agent.graphs import middleware
from apps.agent.graphs.middleware import GraphContext
from apps.agent.models import Graph
from apps.agent.tools import registry
from apps.agent.tools.base import Tool

CompiledGraph = CompiledStateGraph[Any, GraphContext, Any, Any]


class DeclaredTool(BaseTool):
    """A tool's name, description and schema for the model. `middleware.CallTools` carries the calls out."""

    def _run(self, **arguments: Any) -> str:
        raise NotImplementedError


class ModelOfContext(BaseChatModel):
    """Stands for the model while the graph is compiled. `middleware.CallModel` replaces it by the org's model."""

    @property
    def _llm_type(self) -> str:
        return "context"

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError


def assemble(graph: Graph, *own_middleware: AgentMiddleware[Any, GraphContext]) -> CompiledGraph:
    """Return the graph without a saver. `own_middleware` is what only this graph has."""
    tools = [
        DeclaredTool(name=tool.name, description=tool.description, args_schema=_flat_schema(tool))
        for tool in registry.tools_of(graph)
    ]
    return create_agent(
        ModelOfContext(),
        tools=tools,
        middleware=[
            *own_middleware,
            middleware.CallModel(),
            middleware.CallTools(registry.tools_of(graph)),
        ],
        context_schema=GraphContext,
    )


def _flat_schema(tool: Tool[Any]) -> dict[str, Any]:
    """Return the schema of the arguments without references, which not every provider follows."""
    schema: dict[str, Any] = dereference_refs(dict(tool.schema()))
    schema.pop("$defs", None)
    return schema
