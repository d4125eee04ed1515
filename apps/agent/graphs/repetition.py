"""Notice that a model makes no progress, so that its turn ends before it has used all steps, and says why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

MAX_SAME_FAILURES = 3  # answers in a row with the same calls and the same errors
MAX_FAILURES = 8  # answers in a row whose calls all failed

Failure = list[tuple[str, str, str]]  # of each call: its tool, arguments, and error


def text_if_stuck(messages: Sequence[AnyMessage]) -> str:
    """Return what the user is told if the newest answers of the turn only had calls that failed, else ""."""
    failures = [*_newest_failures(messages)]
    if len(failures) >= MAX_FAILURES:
        return _text(f"my last {MAX_FAILURES} attempts failed")
    if len(failures) >= MAX_SAME_FAILURES and _are_equal(failures[:MAX_SAME_FAILURES]):
        return _text(f"the same attempt failed {MAX_SAME_FAILURES} times with the same error")
    return ""


def _text(reason: str) -> str:
    return (
        f"I stopped, because {reason}. You see each error if you open the calls above. Say it in other words, and name"
        " the pipeline, run or connector that you mean."
    )


def _are_equal(failures: Sequence[Failure]) -> bool:
    return all(failure == failures[0] for failure in failures)


def _newest_failures(messages: Sequence[AnyMessage]) -> Iterator[Failure]:
    """Yield the failures of each answer of the turn, the newest first, until an answer had a call that succeeded."""
    results: dict[str | None, ToolMessage] = {}
    for message in reversed(messages):
        if isinstance(message, HumanMessage):
            return
        if isinstance(message, ToolMessage):
            results[message.tool_call_id] = message
        elif isinstance(message, AIMessage):
            failures = _failures_of(message, results)
            if not failures:
                return
            yield failures


def _failures_of(answer: AIMessage, results: dict[str | None, ToolMessage]) -> Failure:
    """Return the failures of the answer's calls if all of them have failed."""
    pairs = [(call, results.get(call["id"])) for call in answer.tool_calls]
    failures = [
        (call["name"], str(call["args"]), str(result.text))
        for call, result in pairs
        if result is not None and result.status == "error"
    ]
    return failures if len(failures) == len(pairs) else []
