"""The request and response schemas of /alerts, and of the messages to webhooks."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.alerts.models import ChannelKind, DeliveryKind, DeliveryState, Scope, SubjectKind
from apps.alerts.rule_kinds.registry import NAMES
from apps.alerts.sending.timing import MAX_PERIODS, TimingKind
from apps.orgs.http.texts import NameField
from apps.pipelines.schedules.blackouts import WEEKDAYS

CLOCK = r"\A([01]\d|2[0-3]):[0-5]\d\Z"
SETTINGS_HELP = (
    "email: `to`, a list of addresses, empty for the owners. slack: `url` of an incoming webhook (secret). "
    "teams: `url` of a workflow (secret). pagerduty: `routing_key` (secret), `severity` and `server`. opsgenie: `api_key` (secret), "
    "`priority` and `server`. webhook: `url`, "
    "and `secret`, the key of the signature. A secret is shown as `{set, last4}`. It is kept if it is left out, unless `url` changes."
)

RULE_SETTINGS_HELP = (
    "Settings of the kind; `GET /alerts/kinds` has their schema. What is left out has its default."
)
URGENT_HELP = (
    "Its events are sent at once, also in the quiet hours of channels and before their digests."
)
SCOPE_ID_HELP = "Id of the domain or pipeline, if the scope is one of these."


class QuietPeriod(serializers.Serializer[Any]):
    weekdays = serializers.ListField(
        child=serializers.ChoiceField(choices=WEEKDAYS),
        min_length=1,
        max_length=7,
        help_text="The days on which it begins.",
    )
    start = serializers.RegexField(CLOCK, help_text="Like 22:00.")
    end = serializers.RegexField(
        CLOCK, help_text="Like 08:00, of the next day unless it is after `start`."
    )


class Timing(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=TimingKind.choices)
    timezone = serializers.CharField(
        required=False,
        max_length=64,
        help_text="An IANA name. Needed unless the kind is `at_once`.",
    )
    periods = serializers.ListField(
        child=QuietPeriod(),
        max_length=MAX_PERIODS,
        required=False,
        help_text="The quiet hours. Only for the kind `quiet_hours`.",
    )
    weekdays = serializers.ListField(
        child=serializers.ChoiceField(choices=WEEKDAYS),
        max_length=7,
        required=False,
        help_text="The days of the digest. Only for the kind `digest`.",
    )
    at = serializers.RegexField(
        CLOCK, required=False, help_text="The time of the digest, like 08:00."
    )


TIMING_HELP = (
    "When messages are sent: at once, not in quiet hours, or as a digest. What waits is sent in one message. The events of "
    "urgent rules do not wait."
)


class ChannelUpdate(serializers.Serializer[Any]):
    name = NameField(max_length=120, required=False)
    settings = serializers.DictField(required=False, help_text=SETTINGS_HELP)
    timing = Timing(required=False, help_text=TIMING_HELP)
    enabled = serializers.BooleanField(required=False)


class ChannelCreate(serializers.Serializer[Any]):
    name = NameField(max_length=120)
    kind = serializers.ChoiceField(choices=ChannelKind.choices)
    settings = serializers.DictField(help_text=SETTINGS_HELP)
    timing = Timing(required=False, help_text=TIMING_HELP)
    enabled = serializers.BooleanField(default=True)


class LastDelivery(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=DeliveryState.choices)
    answer_status = serializers.IntegerField(allow_null=True)
    problem = serializers.CharField(help_text="Why the last attempt has failed, or empty.")
    created_at = serializers.DateTimeField()
    sent_at = serializers.DateTimeField(allow_null=True)


class ChannelRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=ChannelKind.choices)
    settings = serializers.DictField(help_text=SETTINGS_HELP)
    timing = Timing(help_text=TIMING_HELP)
    held_until = serializers.DateTimeField(
        allow_null=True,
        help_text="When what happens now is sent, because of quiet hours or a digest. Null: at once.",
    )
    enabled = serializers.BooleanField()
    failing_since = serializers.DateTimeField(allow_null=True)
    disabled_reason = serializers.CharField(help_text="Why Drover has disabled it, or empty.")
    last_delivery = LastDelivery(allow_null=True, help_text="The newest delivery.")
    editable = serializers.BooleanField(
        help_text="Whether you may change and delete it. You may not if a rule that you cannot see uses it."
    )
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class TagField(NameField):
    """A tag of pipelines, in lower case."""

    def to_internal_value(self, data: Any) -> str:
        return super().to_internal_value(data).lower()


class RuleKindRow(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=NAMES)
    title = serializers.CharField()
    description = serializers.CharField()
    settings = serializers.DictField(help_text="JSON Schema of the settings.")
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=Scope.choices))


class RuleKindList(serializers.Serializer[Any]):
    results = RuleKindRow(many=True)
    count = serializers.IntegerField()


class RuleUpdate(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=NAMES, required=False)
    settings = serializers.DictField(required=False, help_text=RULE_SETTINGS_HELP)
    scope = serializers.ChoiceField(choices=Scope.choices, required=False)
    scope_id = serializers.UUIDField(required=False, help_text=SCOPE_ID_HELP)
    tag = TagField(max_length=50, required=False, help_text="If the scope is `tag`.")
    channel_ids = serializers.ListField(
        child=serializers.UUIDField(), max_length=20, required=False
    )
    urgent = serializers.BooleanField(required=False, help_text=URGENT_HELP)
    enabled = serializers.BooleanField(required=False)


class RuleCreate(RuleUpdate):
    kind = serializers.ChoiceField(choices=NAMES)
    scope = serializers.ChoiceField(choices=Scope.choices, default=Scope.ORG)
    channel_ids = serializers.ListField(child=serializers.UUIDField(), max_length=20)


class ChannelKindRow(serializers.Serializer[Any]):
    kind = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    settings = serializers.DictField(
        help_text="JSON Schema of the settings; secret settings are writeOnly."
    )
    opens_incidents = serializers.BooleanField(
        help_text="Whether alerts open incidents in another system. A channel of such a kind has no digest."
    )


class ChannelKindList(serializers.Serializer[Any]):
    results = ChannelKindRow(many=True)
    count = serializers.IntegerField()


class RuleFilter(serializers.Serializer[Any]):
    pipeline = serializers.UUIDField(
        required=False, help_text="Only rules whose scope has this pipeline."
    )


class SnoozePart(serializers.Serializer[Any]):
    until = serializers.DateTimeField()
    reason = serializers.CharField()
    by = serializers.CharField(help_text="Who has snoozed it, as in the audit log.")
    created_at = serializers.DateTimeField()


class RuleRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=NAMES)
    settings = serializers.DictField(help_text=RULE_SETTINGS_HELP)
    sentence = serializers.CharField(help_text="When an alert opens, with the settings in words.")
    scope = serializers.ChoiceField(choices=Scope.choices)
    scope_id = serializers.UUIDField(allow_null=True, help_text=SCOPE_ID_HELP)
    scope_name = serializers.CharField(help_text="Name of the domain or pipeline, or empty.")
    tag = serializers.CharField()
    channel_ids = serializers.ListField(child=serializers.UUIDField())
    urgent = serializers.BooleanField(help_text=URGENT_HELP)
    enabled = serializers.BooleanField()
    snooze = SnoozePart(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class AlertRule(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=NAMES)
    settings = serializers.DictField(help_text=RULE_SETTINGS_HELP)
    scope = serializers.ChoiceField(choices=Scope.choices)


class AlertPipeline(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    url = serializers.CharField()


class AlertSubject(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=SubjectKind.choices)
    id = serializers.CharField(help_text="A UUID, or the name of a limit: `rows_month`.")
    name = serializers.CharField()
    url = serializers.CharField()


class AlertRun(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    status = serializers.CharField()
    trigger = serializers.CharField()
    attempts = serializers.IntegerField()
    url = serializers.CharField()


class AlertMeasurement(serializers.Serializer[Any]):
    value = serializers.FloatField()
    low = serializers.FloatField(allow_null=True, help_text="The lowest usual value.")
    high = serializers.FloatField(allow_null=True, help_text="The highest usual value.")
    unit = serializers.ChoiceField(choices=["seconds", "records", "share"])


AlertFailure = type(
    "AlertFailure",
    (serializers.Serializer,),
    {
        "class": serializers.CharField(),
        "message": serializers.CharField(),
        "retryable": serializers.BooleanField(),
        "next_step": serializers.CharField(),
    },
)


class AlertEvent(serializers.Serializer[Any]):
    id = serializers.UUIDField(help_text="The same if the event is sent again.")
    kind = serializers.ChoiceField(choices=DeliveryKind.choices)
    at = serializers.DateTimeField()
    alert_id = serializers.UUIDField(allow_null=True)
    opened_at = serializers.DateTimeField(allow_null=True)
    rule = AlertRule(allow_null=True)
    subject = AlertSubject(allow_null=True, help_text="What the event is about. A test has none.")
    pipeline = AlertPipeline(allow_null=True, help_text="The subject if it is a pipeline, or null.")
    run = AlertRun(allow_null=True)
    summary = serializers.CharField(
        help_text="What has happened. It follows the name of the subject: `has failed after 3 attempts`."
    )
    measurement = AlertMeasurement(allow_null=True)
    failure = AlertFailure(allow_null=True)


class AlertLabel(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()


class AlertRecovery(serializers.Serializer[Any]):
    alert_id = serializers.UUIDField()
    at = serializers.DateTimeField()
    summary = serializers.CharField()


class AlertMessage(serializers.Serializer[Any]):
    id = serializers.UUIDField(help_text="The same if the message is sent again.")
    sent_at = serializers.DateTimeField()
    organization = AlertLabel()
    channel = AlertLabel()
    count = serializers.IntegerField(help_text="Number of all events; `events` has up to 20.")
    events = AlertEvent(many=True)
    recovered_count = serializers.IntegerField(
        help_text="Number of the alerts that have opened and closed in this message."
    )
    recovered = AlertRecovery(many=True, help_text="Those of them that `events` lists.")


class DeliveryFilter(serializers.Serializer[Any]):
    channel = serializers.UUIDField(required=False)
    pipeline = serializers.UUIDField(required=False)
    state = serializers.ChoiceField(choices=DeliveryState.choices, required=False)


class DeliveryRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    channel = AlertLabel()
    event_id = serializers.UUIDField()
    message_id = serializers.UUIDField(
        allow_null=True, help_text="Events that are sent together have the same."
    )
    kind = serializers.ChoiceField(choices=DeliveryKind.choices)
    event = AlertEvent()
    state = serializers.ChoiceField(choices=DeliveryState.choices)
    attempts = serializers.IntegerField()
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    held_until = serializers.DateTimeField(
        allow_null=True, help_text="Until when it waits, because of quiet hours or a digest."
    )
    answer_status = serializers.IntegerField(allow_null=True)
    answer = serializers.CharField(help_text="The first 500 characters of the answer.")
    problem = serializers.CharField(help_text="Why the last attempt has failed, or empty.")
    created_at = serializers.DateTimeField()
    sent_at = serializers.DateTimeField(allow_null=True)
