"""What a check can find, in words for the admin. Each text says what it means for the agent, and what would help."""

from __future__ import annotations

from dataclasses import dataclass

from apps.agent.chat_models.checks.answers import State
from apps.agent.chat_models.failures import ModelFailure


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    state: State
    message: str
    next_step: str = ""


TOOL_PARSER = (
    "Choose a model that is made for tool calls. vLLM needs --enable-auto-tool-choice and a"
    " --tool-call-parser that fits the model."
)

REACHABLE = Finding("ok", "The server answers.")
SERVER_OF_OPERATOR_UNREACHABLE = Finding(
    "failed",
    "There is no connection to the server of this installation's language model.",
    "Tell an operator. Until the server answers, your organization can choose a model of its own.",
)
KEY_WORKS = Finding("ok", "The server accepts the key and knows the model.")

STREAMS = Finding("ok", "The answer arrives in parts, as it is written.")
ONE_PART = Finding(
    "warning",
    "The answer arrives in one part, so users see nothing until it is complete.",
    "Switch streaming on in the server, or buffering off in the proxy before it.",
)
NO_STREAM = Finding(
    "failed",
    "The server does not stream its answer in the provider's format, and the agent cannot read it.",
    "Switch streaming on in the server, or choose the provider whose format it speaks.",
)
NO_END = Finding(
    "failed",
    "The answer ends without saying that it is complete, so the agent would take it for broken.",
    "Update the server, or the proxy before it, so that it sends the finish reason.",
)

EMPTY = Finding(
    "failed",
    "The answer is empty.",
    "Choose another model, or check that the server has a chat template for it.",
)

CALLS_TOOLS = Finding("ok", "The model calls a tool with the right arguments.")
CALL_AS_TEXT = Finding(
    "failed",
    "The model writes its tool calls as text, so nothing would be carried out.",
    TOOL_PARSER,
)
NO_CALL = Finding("failed", "The model does not call a tool when it is told to.", TOOL_PARSER)
WRONG_CALL = Finding(
    "warning",
    "The model calls the tool with other arguments than it was told.",
    "Choose a larger model. The agent may need more steps, and may propose wrong changes.",
)

IDS_DIFFER = Finding("ok", "Each tool call has an id of its own.")
IDS_REPEAT = Finding(
    "warning",
    "The ids of tool calls repeat. Drover gives repeated ids new ones, so this does no harm.",
)
IDS_MISSING = Finding(
    "warning", "Tool calls have no ids. Drover gives them new ones, so this does no harm."
)
NO_SECOND_CALL = Finding(
    "warning",
    "The model does not call the tool again after it got the first result.",
    "Choose a larger model, because the agent needs several steps for most requests.",
)

CONTEXT_WORKS = Finding("ok", "The model reads all of a request of more than 8,000 tokens.")
CONTEXT_SMALL = Finding(
    "failed",
    "The context of the model is smaller than 8,000 tokens, so conversations would soon be too long.",
    "Choose a model with a larger context, or raise the server's context to 16,384 tokens or more.",
)
CONTEXT_FAILS = Finding(
    "failed",
    "The server fails at a request of 8,000 tokens, so its context is probably smaller.",
    "Choose a model with a larger context, or raise the server's context to 16,384 tokens or more.",
)
CONTEXT_CUT = Finding(
    "failed",
    "The server cuts long requests at the front without an error: the model did not get the first part.",
    "Raise the server's context to 16,384 tokens or more. For Ollama, set OLLAMA_CONTEXT_LENGTH=16384.",
)
CONTEXT_UNREAD = Finding(
    "warning",
    "The model did not find the facts in a request of 8,000 tokens.",
    "Choose a larger model. With this one, long conversations will go wrong.",
)

TWO_AT_ONCE = Finding("ok", "The server answers two requests at once.")
ONLY_ONE_AT_ONCE = Finding(
    "warning",
    "The server refuses or ends one of two requests that are made at once.",
    "Allow more requests at once. Otherwise members wait for each other, and turns may fail.",
)

STRUCTURED = Finding("ok", "The answer has the form that was asked for.")
NOT_STRUCTURED = Finding(
    "warning",
    "The server ignores or rejects the form that was asked for. The agent does not need it, because it uses tool calls.",
)
NOT_DONE = Finding("skipped", "Not checked, because an earlier check has failed.")
NO_TIME = Finding("skipped", "Not checked, because the time for all checks was used up.")


def of_failure(failure: ModelFailure, state: State = "failed") -> Finding:
    return Finding(state, failure.message, _for_admins(failure.next_step))


def broken_call(problem: str) -> Finding:
    return Finding("failed", f"No tool call can be used: {problem}.", TOOL_PARSER)


def too_slow(seconds: float) -> Finding:
    return Finding(
        "failed",
        f"There was no complete answer within {seconds:g} seconds.",
        "Try again. If it happens again, choose a faster model or server.",
    )


def unreachable(host: str, reason: str) -> Finding:
    return Finding(
        "failed",
        f"There is no connection to {host}{f' ({reason})' if reason else ''}.",
        "Correct the URL, or start the server.",
    )


def _for_admins(next_step: str) -> str:
    """Return the next step of a member in words for an admin, who makes the check."""
    request = next_step.removeprefix("Ask an admin to ")
    return request[:1].upper() + request[1:]
