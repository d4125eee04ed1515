"""The requests and answers of the agent's API."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.agent.models import DocumentKind, Graph, ToolRequestState
from apps.orgs.http.texts import MultilineTextField, NameField

MAX_TEXT = 20_000  # characters of a message


class ConversationFilter(serializers.Serializer[Any]):
    q = serializers.CharField(
        max_length=120, required=False, allow_blank=True, help_text="A part of the title."
    )


class ToolRequestFilter(serializers.Serializer[Any]):
    q = serializers.CharField(
        max_length=120,
        required=False,
        allow_blank=True,
        help_text="A part of the title, or of the name of the API key.",
    )


class ConversationCreate(serializers.Serializer[Any]):
    title = NameField(max_length=200, default="", allow_blank=True)
    graph = serializers.ChoiceField(
        Graph.choices,
        default=Graph.MAIN,
        help_text="The agent that answers first: source_builder makes a custom source from documentation.",
    )


class ConversationUpdate(serializers.Serializer[Any]):
    title = NameField(max_length=200)


class ConversationRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    graph = serializers.ChoiceField(Graph.choices)
    title = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ConversationCost(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    user_id = serializers.UUIDField()
    graph = serializers.ChoiceField(Graph.choices)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    turns = serializers.IntegerField()
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()


class MemberCost(serializers.Serializer[Any]):
    user_id = serializers.UUIDField()
    conversations = serializers.IntegerField()
    turns = serializers.IntegerField()
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()


class MemberCosts(serializers.Serializer[Any]):
    members = MemberCost(many=True)


class DocumentCreate(serializers.Serializer[Any]):
    name = NameField(max_length=200, help_text="The name of the file, such as openapi.yaml.")
    content = serializers.CharField(
        max_length=2_000_000,
        trim_whitespace=False,
        help_text="The text of an OpenAPI or Swagger document, a Postman collection, or documentation.",
    )


class DocumentRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(DocumentKind.choices)


class SourceSettingsUpdate(serializers.Serializer[Any]):
    config = serializers.DictField(
        help_text="The settings of the code, with secrets. They are encrypted, and no language model sees them."
    )
    hosts = serializers.ListField(
        child=NameField(max_length=300),
        max_length=50,
        help_text="The hosts of the form. The settings are used only for code that reaches no others.",
    )


class MessageCreate(serializers.Serializer[Any]):
    text = MultilineTextField(max_length=MAX_TEXT)
    page = NameField(
        max_length=300,
        default="",
        allow_blank=True,
        help_text="Path of the dashboard's page from which the message is sent, such as /runs/<id>.",
    )
    timezone = NameField(
        max_length=60,
        default="",
        allow_blank=True,
        help_text="The user's time zone as an IANA name. Schedules that name no zone are in it. Without it, or with"
        " a name that this installation does not know, they are in UTC.",
    )


class TranscriptItem(serializers.Serializer[Any]):
    """A message, tool call, question, approval or error. Its fields depend on `type`."""

    type = serializers.ChoiceField(["message", "call", "question", "approval", "error"])
    id = serializers.CharField()


class TurnDetail(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    status = serializers.CharField()
    text = serializers.CharField()
    model = serializers.CharField(help_text="Such as openai:gpt-5, or guided for guided mode.")
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    items = TranscriptItem(many=True)


class TurnsQuery(serializers.Serializer[Any]):
    before = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=2**31 - 1,
        help_text="Show the turns before the turn with this number. If left out, the newest turns.",
    )


class ConversationDetail(ConversationRow):
    event_sequence = serializers.IntegerField()
    earlier_turns = serializers.IntegerField(
        help_text="How many turns there are before these. Pass the number of the first turn as ?before= to get them."
    )
    turns = TurnDetail(many=True)


class TurnAccepted(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    status = serializers.CharField()


class DecisionRequest(serializers.Serializer[Any]):
    decision = serializers.ChoiceField(["approve", "edit", "reject", "answer"])
    arguments = serializers.JSONField(required=False)
    reason = NameField(max_length=1000, default="", allow_blank=True)
    answer = serializers.JSONField(required=False)

    def validate_arguments(self, value: Any) -> dict[str, Any]:
        return _require_object(value)

    def validate_answer(self, value: Any) -> dict[str, Any]:
        return _require_object(value)


def _require_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise serializers.ValidationError("Send a JSON object.", code="invalid")
    return value


class ApprovalAnswer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    state = serializers.CharField()


class Nothing(serializers.Serializer[Any]):
    """An empty body."""


class CardFact(serializers.Serializer[Any]):
    label = serializers.CharField()  # type: ignore[assignment]  # name of the JSON field
    value = serializers.CharField()


class CardChange(serializers.Serializer[Any]):
    field = serializers.CharField()
    before = serializers.JSONField(help_text="Any value; null if there was none.")
    after = serializers.JSONField(help_text="Any value; null if there is none.")
    diff = serializers.CharField(
        required=False,
        allow_null=True,
        help_text="Only for code: its unified diff; null if the code is too long to compare.",
    )


class CardStream(serializers.Serializer[Any]):
    stream = serializers.CharField()
    table = serializers.CharField()
    reads = serializers.CharField(help_text="How it is read, such as Full refresh.")
    writes = serializers.CharField(help_text="How it is written, such as Append.")
    rules = serializers.CharField(help_text="Its rules for fields and its contract, in words.")


class CardStreams(serializers.Serializer[Any]):
    title = serializers.CharField(help_text="The name of the pipeline.")
    count = serializers.IntegerField(help_text="How many streams it has in all.")
    rows = CardStream(many=True, help_text="The first streams.")


class ToolRequestCard(serializers.Serializer[Any]):
    """What a tool would change. Drover makes it, from a dry run."""

    title = serializers.CharField()
    facts = CardFact(many=True)
    changes = CardChange(many=True)
    warnings = serializers.ListField(child=serializers.CharField())
    streams = CardStreams(many=True, help_text="What each stream of a pipeline becomes.")


class ToolRequestRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    title = serializers.CharField(
        help_text="What would change, such as Enable the pipeline flights."
    )
    key_name = serializers.CharField(help_text="The API key of the program.")
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class ToolRequestAnswer(serializers.Serializer[Any]):
    """A tool call that a program has asked for over MCP, and what became of it."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(ToolRequestState.choices)
    tool = serializers.CharField()
    title = serializers.CharField(help_text="What the tool does, such as Create pipelines.")
    key_name = serializers.CharField(help_text="The API key of the program.")
    arguments = serializers.JSONField()
    card = ToolRequestCard()
    reason = serializers.CharField(help_text="Why it was rejected.")
    ok = serializers.BooleanField(allow_null=True, help_text="Whether the call succeeded.")
    summary = serializers.CharField(help_text="One sentence about the result.")
    created_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField()


class ToolRequestDecision(serializers.Serializer[Any]):
    decision = serializers.ChoiceField(["approve", "reject"])
    reason = NameField(max_length=1000, default="", allow_blank=True)
