"""Limit how many turns a member and an org may begin in a minute and have at once, and what conversations store."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet, Sum
from django.utils import timezone

from apps.agent.exceptions import ConversationFull, OrgConversationsFull, TooManyConversations
from apps.agent.models import Conversation, Turn, TurnStatus
from apps.orgs.models import AuditEvent
from apps.web.problems import Problem

MINUTE = timedelta(minutes=1)
# A member begins a turn, or lets it go on, with these actions. They are counted in the audit log, because a member may
# delete the turns.
COUNTED_ACTIONS = (
    *("conversation.message", "conversation.retry"),
    *("approval.approve", "approval.edit", "approval.reject", "approval.answer"),
)
WHAT_COUNTS = "messages, answers and decisions"
# New turns and conversations of one org are counted one after the other, so that each count has all before it. The lock
# ends with the transaction.
LOCK_COUNTS = "SELECT pg_advisory_xact_lock(%s, hashtext(%s))"
LOCK_CLASS = 0x64726F6D  # the first key of these locks
WAIT_AT_ONCE = 5  # seconds after which a client may try again if too many turns are being worked on


def check_turn(org_id: UUID, user_id: UUID, conversation_id: UUID) -> None:
    """Check the limits of a turn that begins or is tried again.

    Raises Problem 429 if the member or the org has begun too many turns or has too many at once. Raises
    ConversationFull and OrgConversationsFull too.
    """
    check_answer(org_id, user_id)
    _check_turns_at_once(org_id, user_id)
    check_size(org_id, conversation_id)


def check_answer(org_id: UUID, user_id: UUID) -> None:
    """Check the limits of an answer to a question of the agent. Raises Problem 429 if it has to wait.

    A turn that waits for an answer goes on whatever it stores and however many others there are, so that the limits
    cannot make an answer impossible. Decisions are not checked at all, because a request for approval expires.
    """
    _lock_counts(org_id)
    everyone = AuditEvent.objects.for_org(org_id).filter(action__in=COUNTED_ACTIONS)
    own = everyone.filter(actor_id=user_id)
    _check_minute("You have", own, settings.AGENT_MEMBER_TURNS_PER_MINUTE)
    _check_minute("This organization has", everyone, settings.AGENT_ORG_TURNS_PER_MINUTE)


def _lock_counts(org_id: UUID) -> None:
    with connection.cursor() as cursor:
        cursor.execute(LOCK_COUNTS, [LOCK_CLASS, str(org_id)])


def _check_turns_at_once(org_id: UUID, user_id: UUID) -> None:
    working = Turn.objects.for_org(org_id).filter(
        status__in=[TurnStatus.PENDING, TurnStatus.RUNNING]
    )
    own = working.filter(conversation__user_id=user_id)
    _check_at_once("you", own, settings.AGENT_MEMBER_TURNS_AT_ONCE)
    _check_at_once("this organization", working, settings.AGENT_ORG_TURNS_AT_ONCE)


def check_new_conversation(org_id: UUID, user_id: UUID) -> None:
    """Raise TooManyConversations if the member or the org has reached its limit of conversations."""
    _lock_counts(org_id)
    conversations = Conversation.objects.for_org(org_id)
    if conversations.filter(user_id=user_id).count() >= (
        limit := settings.CONVERSATIONS_PER_MEMBER
    ):
        message = f"You have {limit:,} conversations, which is the limit: delete those that you do not need."
        raise TooManyConversations(message)
    if conversations.count() >= (limit := settings.CONVERSATIONS_PER_ORG):
        message = f"Your organization has {limit:,} conversations, which is the limit: its members have to delete some."
        raise TooManyConversations(message)


def check_size(org_id: UUID, conversation_id: UUID) -> None:
    """Raise ConversationFull if the conversation stores too much, OrgConversationsFull if all of the org together do."""
    conversations = Conversation.objects.for_org(org_id)
    size = conversations.values_list("stored_bytes", flat=True).get(pk=conversation_id)
    if size >= settings.CONVERSATION_SIZE:
        megabytes = settings.CONVERSATION_SIZE // 10**6
        message = f"This conversation stores {megabytes} MB, which is the limit: begin a new conversation."
        raise ConversationFull(message)
    size_of_all = conversations.aggregate(size=Sum("stored_bytes"))["size"]
    if size_of_all >= settings.CONVERSATIONS_SIZE_PER_ORG:
        megabytes = settings.CONVERSATIONS_SIZE_PER_ORG // 10**6
        message = (
            f"The conversations of your organization store {megabytes:,} MB, which is the limit:"
            " its members have to delete some."
        )
        raise OrgConversationsFull(message)


def _check_minute(who: str, begun: QuerySet[AuditEvent], limit: int) -> None:
    now = timezone.now()
    newest = begun.filter(at__gt=now - MINUTE).order_by("-at")
    times = list(newest.values_list("at", flat=True)[:limit])
    if len(times) == limit:
        wait = max(1, round((times[-1] + MINUTE - now).total_seconds()))
        raise _too_many(f"{who} sent the agent {limit} {WHAT_COUNTS} within a minute", wait)


def _check_at_once(whom: str, turns: QuerySet[Turn], limit: int) -> None:
    if turns.count() >= limit:
        message = f"The agent is working on {limit} messages for {whom} already"
        raise _too_many(message, WAIT_AT_ONCE)


def _too_many(message: str, seconds: int) -> Problem:
    detail = f"{message}, which is the limit. Try again in {seconds} seconds."
    return Problem(429, detail, "too_many_turns", headers={"Retry-After": str(seconds)})
