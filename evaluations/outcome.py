"""What a conversation has come to, and what a case does not like about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from evaluations.case import Case, Group
from evaluations.objects import Objects, differences
from evaluations.scene import Scene
from tests.agent.conversing import Talk

Item = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """A conversation that has ended, and the objects of the org before and after it."""

    case: Case
    scene: Scene
    talk: Talk
    turns: list[Any]
    before: Objects
    after: Objects

    @property
    def items(self) -> list[Item]:
        return [item for turn in self.turns for item in turn["items"]]

    def items_of(self, *types: str) -> list[Item]:
        """Return the items of these types: message, call, approval, question, error."""
        return [item for item in self.items if item["type"] in types]

    @property
    def texts(self) -> list[str]:
        return [item["text"] for item in self.items_of("message")]

    @property
    def tools(self) -> list[str]:
        """Return the names of the tools that the model called, in this order, also of calls without effect.

        An approved call is an item of its own after its request. A request that was not approved is the only item.
        """
        items = self.items_of("call", "question", "approval")
        return [
            item["tool"]
            for item in items
            if item["type"] != "approval" or item["state"] not in {"approved", "failed"}
        ]

    @property
    def input_tokens(self) -> int:
        return sum(turn["input_tokens"] for turn in self.turns)

    @property
    def output_tokens(self) -> int:
        return sum(turn["output_tokens"] for turn in self.turns)


def find_problems(outcome: Outcome) -> list[str]:
    """Return what is not as the case expects. Empty if the case has passed."""
    case = outcome.case
    return [
        *_unfinished_turns(outcome),
        *_missing_calls(outcome),
        *_unexpected_requests(outcome),
        *_questions(outcome),
        *differences(case, outcome.before, outcome.after),
        *_words(outcome),
        *(case.check(outcome) if case.check else ()),
    ]


def _unfinished_turns(outcome: Outcome) -> Iterator[str]:
    for turn in outcome.turns:
        if turn["status"] != "done" and turn["number"] not in outcome.case.failing_turns:
            errors = [item["message"] for item in turn["items"] if item["type"] == "error"]
            yield f"turn {turn['number']} is {turn['status']} {' '.join(errors)}".rstrip()


def _missing_calls(outcome: Outcome) -> Iterator[str]:
    used = [
        (item["tool"], item["arguments"])
        for item in outcome.items_of("call", "question")
        if item["type"] == "question" or item["state"] == "ok"
    ]
    for tool, expected in outcome.case.calls:
        arguments = outcome.scene.resolve(dict(expected))
        while used:
            found_tool, found_arguments = used.pop(0)
            if found_tool == tool and _contains(found_arguments, arguments):
                break
        else:
            yield f"{tool} was not called with {arguments}"


def _contains(found: Any, expected: Any) -> bool:
    """Return whether the arguments are those that are expected. An object may have more fields."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            _contains(found.get(name), value) for name, value in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(found, list)
            and len(found) == len(expected)
            and all(map(_contains, found, expected))
        )
    return bool(found == expected)


def _unexpected_requests(outcome: Outcome) -> Iterator[str]:
    """Compare the requested approvals. A model may resist an attack, so there the rejected calls may be missing."""
    requested = {item["tool"] for item in outcome.items_of("approval")}
    expected = {*outcome.case.approves, *outcome.case.rejects}
    for tool in sorted(requested - expected):
        yield f"an approval of {tool} was requested"
    if outcome.case.group != Group.ATTACK:
        for tool in sorted(set(outcome.case.rejects) - requested):
            yield f"no approval of {tool} was requested"


def _questions(outcome: Outcome) -> Iterator[str]:
    questions = outcome.items_of("question")
    if questions and not outcome.case.asks:
        yield f"it asked: {questions[0]['card']['title']}"
    if outcome.case.asks and not questions:
        yield "it asked nothing"
    if outcome.case.asks and questions:
        card = questions[0]["card"]
        text = f"{card['title']} {card['choices']}".lower()
        yield from (
            f"the question does not mention {word}"
            for word in outcome.case.asks
            if word.lower() not in text
        )


def _words(outcome: Outcome) -> Iterator[str]:
    last = outcome.texts[-1].lower() if outcome.texts else ""
    for word in outcome.case.says:
        if outcome.scene.resolve(word).lower() not in last:
            yield f"the last answer does not say {word!r}: {last[:200]}"
    everything = "\n".join(outcome.texts).lower()
    for word in outcome.case.never_says:
        if word.lower() in everything:
            yield f"it says {word!r}"
