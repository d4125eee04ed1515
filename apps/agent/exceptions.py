"""The exceptions of the agent. The docstring is the message."""

from __future__ import annotations

from apps.orgs.exceptions import Conflict


class TurnInProgress(Conflict):
    """The agent is still working on your last message: wait for its answer, or stop it."""

    code = "turn_in_progress"


class TooManyConversations(Conflict):
    """There are too many conversations."""

    code = "too_many_conversations"


class ConversationFull(Conflict):
    """The conversation stores as much as it may store: begin a new conversation."""

    code = "conversation_full"


class OrgConversationsFull(Conflict):
    """The conversations of the organization store as much as they may store: its members have to delete some."""

    code = "org_conversations_full"


class NoTurnInProgress(Conflict):
    """The agent is not working on a message now."""

    code = "no_turn_in_progress"


class NotRetryable(Conflict):
    """Only a turn that failed or was stopped, and that is the newest of its conversation, can be tried again."""

    code = "not_retryable"


class AlreadyDecided(Conflict):
    """This request was decided already, has expired, or was replaced by a later message."""

    code = "already_decided"


class WrongDecision(Conflict):
    """A question is answered, and a change is approved, edited or rejected."""

    code = "wrong_decision"


class RequestOutdated(Conflict):
    """What this request would change has changed or is not there any more: reject it."""

    code = "request_outdated"


class RepairsUsedUp(Conflict):
    """The code has failed after three repairs: tell the user what fails and what would help, and wait for an answer."""

    code = "repairs_used_up"


class ConversationNeeded(Conflict):
    """Sources are built in a conversation of the dashboard, which keeps their documents and settings."""

    code = "conversation_needed"


class SettingsMissing(Conflict):
    """The user has not entered the settings of this code and its hosts yet: they are entered in the form of the approval."""

    code = "settings_missing"


class NoLanguageModel(Conflict):
    """There is no language model to check: guided mode answers now."""

    code = "no_language_model"


class BudgetUsedUp(Conflict):
    """The organization has used up its tokens of this month: raise the monthly tokens, and check the model then."""

    code = "budget_used_up"


class TurnLeaseLost(Exception):
    """Another worker runs this turn now."""


class StopRequested(Exception):
    """The user has stopped the turn."""


class ThreadLocked(Exception):
    """Another process holds the conversation's advisory lock."""
