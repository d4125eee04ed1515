"""The failures of language models, in words for the user. The exceptions of providers become `ModelFailed`."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

MAX_WAIT = 7 * 24 * 3600.0  # seconds; a longer wait is not said exactly


@dataclass(frozen=True, slots=True)
class ModelFailure:
    code: str
    message: str
    next_step: str


class ModelFailed(Exception):
    """The language model could not answer. The text has no secrets."""

    def __init__(self, failure: ModelFailure) -> None:
        super().__init__(failure.code, failure.message)
        self.failure = failure


AUTH = ModelFailure(
    "model_auth",
    "The provider of the language model refuses the key.",
    "Ask an admin to enter a valid key in Settings, Language model. Then try again.",
)
NOT_FOUND = ModelFailure(
    "model_not_found",
    "The provider does not know this language model.",
    "Ask an admin to correct the model's name or URL in Settings, Language model.",
)
TRY_LATER = "Try again in a few minutes."
RATE_LIMITED = ModelFailure(
    "model_rate_limited",
    "The provider of the language model accepts no more requests now.",
    TRY_LATER,
)
UNAVAILABLE = ModelFailure(
    "model_unavailable",
    "The language model cannot be reached, or it reports an error of its own.",
    TRY_LATER,
)
TIMEOUT = ModelFailure(
    "model_timeout",
    "The language model did not answer in time.",
    "Try again. If it happens again, ask an admin to check the model in Settings, Language model.",
)
INTERRUPTED = ModelFailure(
    "model_interrupted",
    "The answer of the language model ended in the middle.",
    "Try again.",
)
BROKEN_OFF = ModelFailure(
    "model_interrupted",
    "The server of the language model broke off in the middle of its answer.",
    "Try again. If it happens again, ask an admin to check the model in Settings, Language model.",
)
REFUSED = ModelFailure(
    "model_refused",
    "The language model refuses to answer this.",
    "Word the message differently, or start a new conversation.",
)
REJECTED = ModelFailure(
    "model_rejected_request",
    "The provider of the language model rejects the request.",
    "Ask an admin to check the model in Settings, Language model.",
)
TOO_LONG = ModelFailure(
    "model_context_full",
    "The conversation is too long for this language model.",
    "Start a new conversation.",
)
BAD_ANSWER = ModelFailure(
    "model_bad_answer",
    "The language model gave no usable answer, although it was asked again. Nothing of it was carried out.",
    "Try again, or ask for a smaller part of it.",
)
HOST_REFUSED = ModelFailure(
    "model_host_refused",
    "Connections to the address of the language model are not allowed.",
    "Ask an admin to correct the URL in Settings, Language model.",
)
REDIRECTED = ModelFailure(
    "model_redirected",
    "The address of the language model redirects to another address, which is not followed.",
    "Ask an admin to correct the URL in Settings, Language model.",
)
COMPRESSED = ModelFailure(
    "model_compressed",
    "The server of the language model compresses its answers, although it was asked not to.",
    "Ask an admin to switch compression off in the server, or in the proxy before it.",
)
WEB_PAGE = ModelFailure(
    "model_web_page",
    "The address of the language model answers with a web page, so it is not the address of a model's API.",
    "Ask an admin to correct the URL in Settings, Language model. It often ends in /v1.",
)
BUDGET_USED_UP = ModelFailure(
    "budget_used_up",
    "The organization has used up its tokens of this month.",
    "Ask an admin to raise the monthly tokens in Settings, Language model, or wait for the next month.",
)

# The failures that only a person who may change the settings of the model can correct.
CODES_OF_SETTINGS = frozenset(
    failure.code
    for failure in (AUTH, NOT_FOUND, REJECTED, HOST_REFUSED, REDIRECTED, COMPRESSED, WEB_PAGE)
)
NEXT_STEP_OF_OPERATOR = (
    "Tell an operator, because this language model belongs to the installation. Until it works, an admin can choose a"
    " model of your organization in Settings, Language model."
)


def for_model_of_operator(failure: ModelFailure) -> ModelFailure:
    """Return the failure with the next step for the installation's model, whose settings no admin can change."""
    if failure.code not in CODES_OF_SETTINGS:
        return failure
    return replace(failure, next_step=NEXT_STEP_OF_OPERATOR)


def with_wait(failure: ModelFailure, seconds: float | None) -> ModelFailure:
    """Return the failure with the wait that the provider asks for, if it asks for one."""
    if failure.next_step != TRY_LATER or not seconds:
        return failure
    return replace(failure, next_step=f"Try again in {_in_words(seconds)}.")


def _in_words(seconds: float) -> str:
    """Return the time, rounded up: "about an hour"."""
    if seconds > MAX_WAIT:
        return "more than a week"
    minutes, hours, days = (math.ceil(seconds / unit) for unit in (60, 3600, 24 * 3600))
    if minutes < 60:
        return "about a minute" if minutes == 1 else f"about {minutes} minutes"
    if hours <= 36:
        return "about an hour" if hours == 1 else f"about {hours} hours"
    return f"about {days} days"


def with_detail(failure: ModelFailure, detail: str) -> ModelFailure:
    """Return the failure with what the provider or the egress policy says about it."""
    if not detail:
        return failure
    return replace(failure, message=f"{failure.message} ({detail})")
