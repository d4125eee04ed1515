"""Calls to slow systems that have to be made outside every transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from apps.orgs.principals import Principal

AnswerT = TypeVar("AnswerT")


def _nothing(answer: Any) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Question(Generic[AnswerT]):
    """A permitted call to a slow system, returned by an action to its caller.

    `recheck` raises if the principal, as loaded again after the wait, may not see the answer any more: the role
    may have changed meanwhile, or the object may have been moved to a domain that the principal cannot see.
    """

    ask: Callable[[], AnswerT]
    recheck: Callable[[Principal], object]
    remember: Callable[[AnswerT], None] = _nothing

    def settle(self, by: Principal, answer: AnswerT) -> AnswerT:
        """Call `recheck` and `remember`, inside the org's scope. Returns the answer."""
        self.recheck(by)
        self.remember(answer)
        return answer
