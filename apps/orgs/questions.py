"""Something that is asked elsewhere, outside every transaction, for somebody who waits for the answer."""

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
    """What a verb answers that has found out what to ask, and that `by` may ask it.

    `recheck` raises when the principal, as loaded again after the wait, may not know the answer any more: their role
    may have changed meanwhile, or the object may have been moved to a domain they do not see.
    """

    ask: Callable[[], AnswerT]
    recheck: Callable[[Principal], object]
    remember: Callable[[AnswerT], None] = _nothing

    def settle(self, by: Principal, answer: AnswerT) -> AnswerT:
        """Check again and remember the answer, inside the org's scope."""
        self.recheck(by)
        self.remember(answer)
        return answer
