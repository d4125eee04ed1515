"""Actions on conversations and their turns, each in one transaction."""

from __future__ import annotations

from uuid import UUID

from django.db.models import F, QuerySet
from django.utils import timezone

from apps.agent.approvals import closing
from apps.agent.conversations import limits
from apps.agent.conversations.events import Kind, new_event, record
from apps.agent.conversations.visibility import find_conversation
from apps.agent.exceptions import NotRetryable, NoTurnInProgress, TurnInProgress
from apps.agent.models import (
    LIVE_TURNS,
    Approval,
    ApprovalKind,
    ApprovalState,
    Conversation,
    Graph,
    Turn,
    TurnStatus,
)
from apps.agent.turns import queue
from apps.auth import names
from apps.orgs import audit
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission

TITLE_LENGTH = 80  # characters of the first message


def create(*, org: Org, by: Principal, title: str = "", graph: str = Graph.MAIN) -> Conversation:
    """Create an empty conversation that begins in this graph.

    Raises PermissionMissing, SessionNeeded and TooManyConversations.
    """
    by.require(Permission.AGENT_USE)
    if graph == Graph.SOURCE_BUILDER:
        by.require(Permission.CUSTOM_SOURCES_EDIT)
    by.require_person()
    limits.check_new_conversation(org.pk, by.require_user())
    conversation = Conversation.unscoped.create(
        org=org, user_id=by.require_user(), title=title, graph=graph
    )
    _audit(org, by, "conversation.create", conversation)
    queue.import_packages()
    return conversation


def rename(*, org: Org, by: Principal, conversation_id: UUID, title: str) -> Conversation:
    """Raises NotFound and PermissionMissing."""
    conversation = find_conversation(org=org, by=by, conversation_id=conversation_id, lock=True)
    _audit(org, by, "conversation.update", conversation)
    conversation.title = title
    conversation.save(update_fields=["title", "updated_at"])
    return conversation


def delete(*, org: Org, by: Principal, conversation_id: UUID) -> None:
    """Delete the conversation with its turns, events and checkpoints. A running turn ends at its next step.

    Raises NotFound, PermissionMissing, and TurnInProgress if a message arrives at the same moment.
    """
    conversation, _ = _lock_with_live_turn(org, by, conversation_id)
    _audit(org, by, "conversation.delete", conversation)
    conversation.delete()  # a trigger of the database deletes the checkpoints


def send_message(
    *,
    org: Org,
    by: Principal,
    conversation_id: UUID,
    text: str,
    page: str = "",
    timezone: str = "",
) -> Turn:
    """Store a message of the user, and the job that answers it.

    If the agent has asked a question, the message is its answer, and the turn goes on. If it waits for approvals, they
    are superseded. Raises NotFound, PermissionMissing, TurnInProgress while the agent is working, ConversationFull,
    OrgConversationsFull, and Problem 429.
    """
    conversation, live = _lock_with_live_turn(org, by, conversation_id)
    if live is not None and live.status != TurnStatus.WAITING:
        raise TurnInProgress
    if live is not None:
        if (question := _only_open_question(org, live)) is not None:
            limits.check_answer(org.pk, by.require_user())
            _audit(org, by, "conversation.message", conversation)
            closing.answer(org, by, live, question, {"text": text})
            return live
        closing.close_open(org.pk, live, ApprovalState.SUPERSEDED)
        end_turn(org, live, TurnStatus.SUPERSEDED)
    limits.check_turn(org.pk, by.require_user(), conversation.pk)
    _audit(org, by, "conversation.message", conversation)
    turn = _add_turn(org, by, conversation, text, page=page, timezone=timezone)
    queue.run_turn(org_id=org.pk, turn_id=turn.pk)
    return turn


def stop(*, org: Org, by: Principal, conversation_id: UUID) -> None:
    """Stop the turn: at once if it is waiting, within two seconds if it is running.

    Raises NotFound, PermissionMissing and NoTurnInProgress. Safe to call twice.
    """
    conversation = find_conversation(org=org, by=by, conversation_id=conversation_id)
    turn = _live_turns(org, conversation).select_for_update().first()
    if turn is None:
        raise NoTurnInProgress
    _audit(org, by, "conversation.stop", conversation)
    closing.close_open(org.pk, turn, ApprovalState.STOPPED)
    if turn.status == TurnStatus.RUNNING:
        Turn.objects.for_org(org).filter(pk=turn.pk, stop_requested_at=None).update(
            stop_requested_at=timezone.now()
        )
    else:
        end_turn(org, turn, TurnStatus.STOPPED)


def retry(*, org: Org, by: Principal, conversation_id: UUID) -> Turn:
    """Continue the newest turn, which failed or was stopped, from its last checkpoint.

    Raises NotFound, PermissionMissing, NotRetryable, ConversationFull, OrgConversationsFull, and Problem 429.
    """
    conversation = find_conversation(org=org, by=by, conversation_id=conversation_id, lock=True)
    turn = Turn.objects.for_org(org).filter(conversation=conversation).order_by("-number").first()
    if turn is None or turn.status not in {TurnStatus.FAILED, TurnStatus.STOPPED}:
        raise NotRetryable
    limits.check_turn(org.pk, by.require_user(), conversation.pk)
    _audit(org, by, "conversation.retry", conversation)
    turn.status, turn.transcript, turn.finished_at = TurnStatus.PENDING, None, None
    turn.attempts, turn.stop_requested_at = 0, None
    turn.error_code = turn.error_message = ""
    turn.save()
    record(org.pk, conversation.pk, new_event(Kind.TURN_STARTED, turn.number, text=turn.text))
    queue.run_turn(org_id=org.pk, turn_id=turn.pk)
    return turn


def end_turn(org: Org, turn: Turn, status: TurnStatus) -> None:
    """End a turn that no worker runs."""
    from apps.agent.turns import ending

    ending.end(org_id=org.pk, turn=turn, status=status)


def _add_turn(
    org: Org, by: Principal, conversation: Conversation, text: str, *, page: str, timezone: str
) -> Turn:
    turns = Turn.objects.for_org(org).filter(conversation=conversation)
    number = (turns.order_by("-number").values_list("number", flat=True).first() or 0) + 1
    if not conversation.title:
        conversation.title = names.clean_name(" ".join(text.split()), max_length=TITLE_LENGTH)
    conversation.stored_bytes = F("stored_bytes") + len(text.encode())
    conversation.save(update_fields=["title", "updated_at", "stored_bytes"])
    event = new_event(Kind.TURN_STARTED, number, text=text)
    first_event = record(org.pk, conversation.pk, event)
    return Turn.unscoped.create(
        org=org,
        conversation=conversation,
        number=number,
        text=text,
        page=page,
        timezone=timezone,
        ip=by.actor.ip,
        first_event=first_event,
    )


def _lock_with_live_turn(
    org: Org, by: Principal, conversation_id: UUID
) -> tuple[Conversation, Turn | None]:
    """Lock the conversation and its live turn, and return both. Raises NotFound, PermissionMissing and TurnInProgress.

    The turn is locked first, as a worker does, which locks the conversation when it stores events. So there are no
    deadlocks. A turn that has begun between the two locks was begun by another message.
    """
    found = find_conversation(org=org, by=by, conversation_id=conversation_id)
    turn = _live_turns(org, found).select_for_update().first()
    conversation = find_conversation(org=org, by=by, conversation_id=conversation_id, lock=True)
    if turn is None and _live_turns(org, conversation).exists():
        raise TurnInProgress
    return conversation, turn


def _live_turns(org: Org, conversation: Conversation) -> QuerySet[Turn]:
    return Turn.objects.for_org(org).filter(conversation=conversation, status__in=LIVE_TURNS)


def _only_open_question(org: Org, turn: Turn) -> Approval | None:
    """Return the question that a message answers: the only open request, if it is a question without a form."""
    requests = list(Approval.objects.for_org(org).filter(turn=turn, state=ApprovalState.OPEN))
    if len(requests) != 1 or requests[0].kind != ApprovalKind.QUESTION:
        return None
    return None if requests[0].card.get("form") else requests[0]


def _audit(org: Org, by: Principal, action: str, conversation: Conversation) -> None:
    """Record the action. The texts of a conversation are private, so the log does not contain them."""
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="conversation",
        object_id=conversation.pk,
    )
