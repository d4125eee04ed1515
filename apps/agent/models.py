"""Conversations with the agent: their turns, events, tool calls and approvals."""

from __future__ import annotations

from django.db import models

from apps.auth import names
from apps.auth.models import User
from apps.orgs.models import ApiKey
from apps.orgs.tenancy import OrgOwned


class Graph(models.TextChoices):
    MAIN = "main"
    SOURCE_BUILDER = "source_builder"


class TurnStatus(models.TextChoices):
    PENDING = "pending"  # a job will run it
    RUNNING = "running"
    WAITING = "waiting"  # for an approval or an answer
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"  # by its user
    SUPERSEDED = "superseded"  # the user sent another message while it was waiting


class ModelProvider(models.TextChoices):
    """The providers of language models; `chat_models.connections.Provider` has the same values."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GOOGLE = "google"
    OPENAI_COMPATIBLE = "openai_compatible"


LIVE_TURNS = (TurnStatus.PENDING, TurnStatus.RUNNING, TurnStatus.WAITING)


class Conversation(OrgOwned):
    """A conversation of one user in one org. Its id is also the id of the graph's thread in the checkpoint tables."""

    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    graph = models.CharField(max_length=20, choices=Graph.choices, default=Graph.MAIN)
    title = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    event_sequence = models.BigIntegerField(default=0)
    # The bytes that its messages, transcripts and documents need. Triggers count the last two, see counting.sql.
    stored_bytes = models.BigIntegerField(default=0, db_default=0)

    class Meta(OrgOwned.Meta):
        constraints = [names.plain_text_check("title", name="agent_conversation_title_plain")]
        indexes = [
            models.Index(
                fields=["org", "user", "-updated_at", "-id"], name="agent_conversation_newest"
            )
        ]


class Turn(OrgOwned):
    """One question of the user, and everything the agent does until it has answered."""

    conversation = models.ForeignKey(
        Conversation, models.CASCADE, related_name="+", db_constraint=False
    )
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=10, choices=TurnStatus.choices, default=TurnStatus.PENDING)
    text = models.TextField()
    # Path of the dashboard's page from which the message was sent, such as /runs/<id>.
    page = models.CharField(max_length=300, blank=True)
    # IANA name of the user's time zone, or "".
    timezone = models.CharField(max_length=60, blank=True, db_default="")
    ip = models.GenericIPAddressField(null=True)
    first_event = models.BigIntegerField()  # number of its event `turn_started`
    # What the events of the turn amount to, stored when it has ended; see conversations.transcripts.
    transcript = models.JSONField(null=True)

    lease = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    worker = models.CharField(max_length=120, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)  # how often a worker has begun to run it
    stop_requested_at = models.DateTimeField(null=True)

    model = models.CharField(max_length=120, blank=True)
    prompt = models.CharField(max_length=60, blank=True)  # name and digest of the system prompt
    input_tokens = models.PositiveIntegerField(default=0)
    output_tokens = models.PositiveIntegerField(default=0)
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.CharField(max_length=2000, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["org", "conversation", "number"], name="agent_turn_number"
            ),
            models.UniqueConstraint(
                fields=["org", "conversation"],
                condition=models.Q(status__in=LIVE_TURNS),
                name="agent_turn_one_live",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=TurnStatus.values), name="agent_turn_status"
            ),
        ]
        indexes = [
            models.Index(
                fields=["created_at"],
                name="agent_turn_unfinished",
                condition=models.Q(status__in=[TurnStatus.PENDING, TurnStatus.RUNNING]),
            ),
            models.Index(fields=["org", "-created_at"], name="agent_turn_newest"),
        ]


class Event(OrgOwned):
    """An event of a conversation, numbered; announced by NOTIFY in the transaction that wrote it."""

    conversation = models.ForeignKey(
        Conversation, models.CASCADE, related_name="+", db_constraint=False
    )
    sequence = models.BigIntegerField()
    org_sequence = models.BigIntegerField(null=True)  # always null: only its user sees it
    kind = models.CharField(max_length=20)
    body = models.JSONField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["org", "conversation", "sequence"], name="agent_event_sequence"
            )
        ]


class CallState(models.TextChoices):
    BEGUN = "begun"
    FINISHED = "finished"


class Call(OrgOwned):
    """A tool call that was carried out, with its answer. A call with the same task id is never carried out twice.

    The task id is that of the graph's task. It stays the same after a crash and after an approval. The ids that
    models give to their calls are not unique.
    """

    conversation = models.ForeignKey(
        Conversation, models.CASCADE, related_name="+", db_constraint=False
    )
    turn = models.ForeignKey(Turn, models.CASCADE, related_name="+", db_constraint=False)
    task_id = models.CharField(max_length=60)
    tool_call_id = models.CharField(max_length=200)
    tool = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=CallState.choices)
    ok = models.BooleanField(null=True)
    answer = models.TextField(blank=True)  # the text that the model gets
    began_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["org", "conversation", "task_id"], name="agent_call_task"
            )
        ]


class ApprovalKind(models.TextChoices):
    APPROVAL = "approval"
    QUESTION = "question"


class ApprovalState(models.TextChoices):
    OPEN = "open"
    APPROVED = "approved"
    ANSWERED = "answered"  # a question
    REJECTED = "rejected"
    USED = "used"  # its call was carried out
    FAILED = "failed"  # its call was carried out, and failed
    EXPIRED = "expired"
    STOPPED = "stopped"  # the turn was stopped
    SUPERSEDED = "superseded"  # the user sent another message instead


class Approval(OrgOwned):
    """A pause of the agent for a decision of its user: an approval of one exact tool call, or the answer to a question."""

    conversation = models.ForeignKey(
        Conversation, models.CASCADE, related_name="+", db_constraint=False
    )
    turn = models.ForeignKey(Turn, models.CASCADE, related_name="+", db_constraint=False)
    kind = models.CharField(max_length=10, choices=ApprovalKind.choices)
    state = models.CharField(
        max_length=10, choices=ApprovalState.choices, default=ApprovalState.OPEN
    )
    task_id = models.CharField(max_length=60)
    tool_call_id = models.CharField(max_length=200)
    tool = models.CharField(max_length=64)
    arguments = models.JSONField()  # as the model sent them, or as the user has edited them
    # Keyed digest of the tool's name and the arguments for which the decision is valid.
    digest = models.CharField(max_length=64)
    card = models.JSONField()  # what the user is shown, made by the server
    edited = models.BooleanField(default=False)
    reason = models.CharField(max_length=1000, blank=True)
    answer = models.JSONField(null=True)
    decided_by = models.ForeignKey(User, models.SET_NULL, related_name="+", null=True)
    decided_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["org", "conversation", "task_id"], name="agent_approval_task"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=ApprovalState.values), name="agent_approval_state"
            ),
            names.plain_text_check("reason", name="agent_approval_reason_plain"),
        ]
        indexes = [
            models.Index(
                fields=["expires_at"],
                name="agent_approval_open",
                condition=models.Q(state=ApprovalState.OPEN),
            )
        ]


class ToolRequestState(models.TextChoices):
    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    BEGUN = "begun"  # a slow call that was begun, and whose answer is not stored yet
    DONE = "done"  # carried out, or tried and failed
    EXPIRED = "expired"


class ToolRequest(OrgOwned):
    """A tool call that a program has asked for over MCP with an API key, and that a person approves or rejects.

    The program fetches the answer itself. The approved call is carried out then, once, with the rights of its key.
    """

    key = models.ForeignKey(ApiKey, models.CASCADE, related_name="+", db_constraint=False)
    tool = models.CharField(max_length=64)
    arguments = models.JSONField()
    digest = models.CharField(max_length=64)  # see approvals.digests
    card = models.JSONField()  # what the person is shown, made by the server
    state = models.CharField(
        max_length=10, choices=ToolRequestState.choices, default=ToolRequestState.OPEN
    )
    reason = models.CharField(max_length=1000, blank=True)  # why it was rejected
    decided_by = models.ForeignKey(User, models.SET_NULL, related_name="+", null=True)
    decided_at = models.DateTimeField(null=True)
    began_at = models.DateTimeField(null=True)
    ok = models.BooleanField(null=True)
    summary = models.CharField(max_length=1000, blank=True)  # of the answer, for people
    answer = models.TextField(blank=True)  # the text that the program gets
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["org", "key", "digest"],
                condition=models.Q(state__in=[ToolRequestState.OPEN, ToolRequestState.APPROVED]),
                name="agent_toolrequest_one_open",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=ToolRequestState.values),
                name="agent_toolrequest_state",
            ),
            names.plain_text_check("reason", name="agent_toolrequest_reason_plain"),
        ]
        indexes = [models.Index(fields=["org", "created_at"], name="agent_toolrequest_oldest")]


class ModelSettings(OrgOwned):
    """The language model that an org has chosen, with its key."""

    provider = models.CharField(max_length=20, choices=ModelProvider.choices)
    model = models.CharField(max_length=120)
    sealed = models.TextField(blank=True)  # the encrypted key; empty for a server without keys
    key_last4 = models.CharField(max_length=4, blank=True)
    base_url = models.CharField(max_length=500, blank=True)  # empty for the provider's own address
    temperature = models.FloatField(null=True)
    monthly_tokens = models.BigIntegerField(null=True)  # null: no limit
    # Whether record values may be sent to the provider, for example in previews.
    values_allowed = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(fields=["org"], name="agent_modelsettings_once"),
            models.CheckConstraint(
                condition=models.Q(provider__in=ModelProvider.values),
                name="agent_modelsettings_provider",
            ),
            models.CheckConstraint(
                condition=models.Q(monthly_tokens__isnull=True) | models.Q(monthly_tokens__gt=0),
                name="agent_modelsettings_tokens",
            ),
        ]


class ModelUsage(OrgOwned):
    """The tokens that an org has used in one month."""

    month = models.DateField()  # its first day, in UTC
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(fields=["org", "month"], name="agent_modelusage_month")
        ]


class DocumentKind(models.TextChoices):
    OPENAPI = "openapi"
    SWAGGER = "swagger"
    POSTMAN = "postman"
    TEXT = "text"
    PLAN = "plan"  # a plan of a source that the user has approved


class SourceDocument(OrgOwned):
    """A document about an API, for the source builder: fetched, uploaded or pasted. Nobody has checked its text."""

    conversation = models.ForeignKey(
        Conversation, models.CASCADE, related_name="+", db_constraint=False
    )
    name = models.CharField(max_length=200)
    url = models.CharField(max_length=1000, blank=True)  # from where it was fetched
    kind = models.CharField(max_length=10, choices=DocumentKind.choices)
    text = models.TextField()
    truncated = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(OrgOwned.Meta):
        constraints = [names.plain_text_check("name", name="agent_sourcedocument_name_plain")]
        indexes = [
            models.Index(
                fields=["org", "conversation", "-created_at"], name="agent_document_newest"
            )
        ]


class SourceSettings(OrgOwned):
    """Settings with which a conversation previews code that is not saved. The browser sends them, and no model sees them.

    They may be used only for code that reaches no other hosts than those that the user has seen.
    """

    conversation = models.ForeignKey(
        Conversation, models.CASCADE, related_name="+", db_constraint=False
    )
    sealed = models.TextField()  # encrypted JSON with the settings and the hosts
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["org", "conversation"], name="agent_sourcesettings_conversation"
            )
        ]
