"""Who is told what: channels, rules, the alerts that rules have opened, the deliveries to channels, and freshness pages."""

from __future__ import annotations

from datetime import UTC
from uuid import UUID

from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from apps.alerts.follow_ups.models import FollowUp, FollowUpCall  # noqa: F401 - Django finds models here
from apps.auth import names
from apps.auth.models import User, new_id
from apps.orgs.models import Domain
from apps.orgs.tenancy import OrgOwned
from apps.pipelines.models import Pipeline


class ChannelKind(models.TextChoices):
    EMAIL = "email"
    SLACK = "slack"
    TEAMS = "teams"
    PAGERDUTY = "pagerduty"
    OPSGENIE = "opsgenie"
    WEBHOOK = "webhook"


class Scope(models.TextChoices):
    ORG = "org"
    DOMAIN = "domain"
    TAG = "tag"
    PIPELINE = "pipeline"


class DeliveryKind(models.TextChoices):
    OPENED = "opened"
    STILL_OPEN = "still_open"
    CLOSED = "closed"
    TEST = "test"


class DeliveryState(models.TextChoices):
    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"
    SNOOZED = "snoozed"  # told later if its alert is still open then
    SKIPPED = "skipped"  # never sent, because it had recovered before


class SubjectKind(models.TextChoices):
    """What an alert is about."""

    PIPELINE = "pipeline"
    LIMIT = "limit"  # of the org; its key is the name of the measure, such as "rows_month"
    API_KEY = "api_key"
    CONNECTOR = "connector"
    RUNS = "runs"  # of the org; its key is "due", or "storage" if they fail without it


class OperatorRoute(models.TextChoices):
    EMAIL = "email", "e-mail"
    WEBHOOK = "webhook"


class Channel(OrgOwned):
    """Where messages are sent. `settings` are visible, `sealed` has the secrets, `secret_hints` hints of the secrets."""

    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=10, choices=ChannelKind.choices)
    settings = models.JSONField(default=dict)
    sealed = models.TextField(blank=True)  # {path: secret}, see apps.orgs.vault
    secret_hints = models.JSONField(default=dict)  # {path: last four characters}
    enabled = models.BooleanField(default=True)
    failing_since = models.DateTimeField(null=True)  # the first failure after the last success
    disabled_reason = models.CharField(max_length=300, blank=True)  # why Drover has disabled it
    # Events that happen before this time are sent together, after it.
    grouped_until = models.DateTimeField(null=True)
    timing = models.JSONField(default=dict, db_default={})  # see apps.alerts.sending.timing
    # Set by a worker that had nothing to send but events that wait for the end of quiet hours, or for the next digest.
    held_until = models.DateTimeField(null=True)
    etag = models.PositiveIntegerField(default=1)
    created_by = models.ForeignKey(User, models.SET_NULL, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint("org", Lower("name"), name="alerts_channel_name"),
            models.CheckConstraint(
                condition=models.Q(kind__in=ChannelKind.values), name="alerts_channel_kind"
            ),
            names.plain_text_check("name", name="alerts_channel_name_plain"),
        ]

    def __str__(self) -> str:
        return self.name


class Rule(OrgOwned):
    """When an alert opens, for which pipelines, and to which channels its messages go (RuleChannel)."""

    kind = models.CharField(max_length=20)  # see apps.alerts.rule_kinds
    settings = models.JSONField(default=dict, db_default={})  # valid for the schema of the kind
    scope = models.CharField(max_length=10, choices=Scope.choices, default=Scope.ORG)
    domain = models.ForeignKey(
        Domain, models.CASCADE, related_name="+", null=True, db_constraint=False
    )
    tag = models.CharField(max_length=50, blank=True)
    pipeline = models.ForeignKey(
        Pipeline, models.CASCADE, related_name="+", null=True, db_constraint=False
    )
    urgent = models.BooleanField(default=False, db_default=False)  # also in quiet hours
    enabled = models.BooleanField(default=True)
    etag = models.PositiveIntegerField(default=1)
    created_by = models.ForeignKey(User, models.SET_NULL, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.CheckConstraint(
                condition=models.Q(scope=Scope.ORG, domain=None, tag="", pipeline=None)
                | models.Q(scope=Scope.DOMAIN, domain__isnull=False, tag="", pipeline=None)
                | (models.Q(scope=Scope.TAG, domain=None, pipeline=None) & ~models.Q(tag=""))
                | models.Q(scope=Scope.PIPELINE, domain=None, tag="", pipeline__isnull=False),
                name="alerts_rule_scope",
            ),
            names.plain_text_check("tag", name="alerts_rule_tag_plain"),
        ]

    @property
    def scope_id(self) -> UUID | None:
        """The id of the domain or of the pipeline."""
        return self.domain_id or self.pipeline_id


class RuleChannel(OrgOwned):
    """A channel of a rule."""

    rule = models.ForeignKey(Rule, models.CASCADE, related_name="+", db_constraint=False)
    channel = models.ForeignKey(Channel, models.CASCADE, related_name="+", db_constraint=False)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(fields=["rule", "channel"], name="alerts_rulechannel_once")
        ]


class Alert(OrgOwned):
    """What a rule has found about its subject: a pipeline, or something else. It is open until `closed_at`."""

    rule = models.ForeignKey(Rule, models.CASCADE, related_name="+", db_constraint=False)
    pipeline = models.ForeignKey(
        Pipeline, models.CASCADE, related_name="+", null=True, db_constraint=False
    )
    subject_kind = models.CharField(
        max_length=10,
        choices=SubjectKind.choices,
        default=SubjectKind.PIPELINE,
        db_default=SubjectKind.PIPELINE,
    )
    # The id or the name of the subject, and empty for a pipeline. That of a connector is followed by what ends, and when.
    subject_key = models.CharField(max_length=60, blank=True, default="", db_default="")
    opened_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True)
    cause = models.JSONField()  # what opened it: an apps.alerts.payloads.Event

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "pipeline"],
                condition=models.Q(closed_at=None),
                name="alerts_alert_one_open",
            ),
            models.UniqueConstraint(
                fields=["rule", "subject_kind", "subject_key"],
                condition=models.Q(closed_at=None, pipeline=None),
                name="alerts_alert_one_open_subject",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    subject_kind=SubjectKind.PIPELINE, subject_key="", pipeline__isnull=False
                )
                | (
                    models.Q(pipeline=None)
                    & ~models.Q(subject_kind=SubjectKind.PIPELINE)
                    & ~models.Q(subject_key="")
                ),
                name="alerts_alert_subject",
            ),
        ]
        indexes = [
            models.Index(
                fields=["pipeline"],
                condition=models.Q(closed_at=None),
                name="alerts_alert_open",
            )
        ]


class Snooze(OrgOwned):
    """Nobody is told of a rule's new alerts, or reminded of an open alert, until a time. The row is deleted then."""

    rule = models.ForeignKey(Rule, models.CASCADE, related_name="+", null=True, db_constraint=False)
    alert = models.ForeignKey(
        Alert, models.CASCADE, related_name="+", null=True, db_constraint=False
    )
    until = models.DateTimeField()
    reason = models.CharField(max_length=200, blank=True)
    by = models.CharField(max_length=254)  # the name of the actor, as in the audit log
    created_at = models.DateTimeField(default=timezone.now)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(fields=["rule"], name="alerts_snooze_one_of_rule"),
            models.UniqueConstraint(fields=["alert"], name="alerts_snooze_one_of_alert"),
            models.CheckConstraint(
                condition=models.Q(rule=None, alert__isnull=False)
                | models.Q(rule__isnull=False, alert=None),
                name="alerts_snooze_object",
            ),
            names.plain_text_check("reason", name="alerts_snooze_reason_plain"),
        ]

    @property
    def problem(self) -> str:
        """Why a delivery is not sent."""
        why = f": {self.reason}" if self.reason else "."
        return f"Snoozed until {self.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC by {self.by}{why}"[
            :300
        ]


class UndecidedRun(OrgOwned):
    """A run that has ended, and about which deciding has failed, or waits for an earlier run of its pipeline."""

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="+", db_constraint=False)
    run = models.JSONField()  # an apps.alerts.deciding.ended_runs.EndedRun
    tries = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta(OrgOwned.Meta):
        indexes = [models.Index(fields=["pipeline", "created_at"], name="alerts_undecided_order")]


class Delivery(OrgOwned):
    """One event for one channel. `payload` is an apps.alerts.payloads.Event.

    Events that are sent together have the same `message_id`, which is set before the first attempt and kept by
    further attempts. A delivery without it has not been tried.
    """

    channel = models.ForeignKey(Channel, models.CASCADE, related_name="+", db_constraint=False)
    alert = models.ForeignKey(
        Alert, models.SET_NULL, related_name="+", null=True, db_constraint=False
    )
    pipeline = models.ForeignKey(
        Pipeline, models.SET_NULL, related_name="+", null=True, db_constraint=False
    )
    event_id = models.UUIDField()  # the same if the event is sent again
    kind = models.CharField(max_length=10, choices=DeliveryKind.choices)
    payload = models.JSONField()
    state = models.CharField(
        max_length=10, choices=DeliveryState.choices, default=DeliveryState.PENDING
    )
    message_id = models.UUIDField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    first_attempt_at = models.DateTimeField(null=True)
    # An opening that has opened an incident elsewhere, which nothing has resolved yet.
    incident_open = models.BooleanField(default=False, db_default=False)
    # Before the first attempt: since when it can be sent. Quiet hours and digests compare this time.
    next_attempt_at = models.DateTimeField(default=timezone.now)
    urgent = models.BooleanField(default=False, db_default=False)  # also in quiet hours
    answer_status = models.PositiveSmallIntegerField(null=True)  # of HTTP
    answer = models.CharField(max_length=500, blank=True)  # the beginning of the answer's body
    problem = models.CharField(max_length=300, blank=True)  # why the last attempt has failed
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)

    class Meta(OrgOwned.Meta):
        verbose_name_plural = "deliveries"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=DeliveryState.values), name="alerts_delivery_state"
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=DeliveryKind.values), name="alerts_delivery_kind"
            ),
        ]
        indexes = [
            models.Index(fields=["org", "-created_at", "-id"], name="alerts_delivery_newest"),
            models.Index(
                fields=["channel", "next_attempt_at"],
                condition=models.Q(state=DeliveryState.PENDING),
                name="alerts_delivery_pending",
            ),
            models.Index(
                fields=["alert"],
                condition=models.Q(state=DeliveryState.SNOOZED),
                name="alerts_delivery_snoozed",
            ),
            models.Index(
                fields=["message_id"],
                condition=models.Q(message_id__isnull=False),
                name="alerts_delivery_message",
            ),
            models.Index(
                fields=["message_id"],
                condition=models.Q(incident_open=True),
                name="alerts_delivery_incident",
            ),
        ]


class FreshnessPage(OrgOwned):
    """A public page with the freshness of some pipelines. Whoever has its link can read it while it is enabled."""

    title = models.CharField(max_length=120)
    enabled = models.BooleanField(default=False)
    incident_days = models.PositiveSmallIntegerField(
        default=30
    )  # how long a closed incident is shown
    digest = models.BinaryField(max_length=32, unique=True)  # of the link's token
    sealed = models.TextField()  # the token, see apps.orgs.vault
    etag = models.PositiveIntegerField(default=1)
    created_by = models.ForeignKey(User, models.SET_NULL, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.CheckConstraint(
                condition=models.Q(incident_days__lte=90), name="alerts_freshnesspage_days"
            ),
            names.plain_text_check("title", name="alerts_freshnesspage_plain"),
        ]

    def __str__(self) -> str:
        return self.title


class FreshnessPagePipeline(OrgOwned):
    """A pipeline on a freshness page. Its address contains this row's id, so that it does not show the pipeline's."""

    page = models.ForeignKey(FreshnessPage, models.CASCADE, related_name="+", db_constraint=False)
    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="+", db_constraint=False)
    name = models.CharField(max_length=120, blank=True)  # if empty, the pipeline's own name
    position = models.PositiveSmallIntegerField()

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["page", "pipeline"], name="alerts_freshnesspagepipeline_once"
            ),
            names.plain_text_check("name", name="alerts_freshnesspagepipeline_plain"),
        ]


class InstallationProblem(models.Model):
    """A part of the installation that does not work, as web processes see it. It belongs to no org, and has data of none."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    part = models.CharField(max_length=40)  # of an apps.background.health.Finding
    place = models.CharField(max_length=100, blank=True)  # the machine, or the whole installation
    seen = models.CharField(max_length=300)
    next_step = models.CharField(max_length=500, blank=True)
    began_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    told_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)  # the row is deleted when the end is told

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["part", "place"], name="alerts_problem_once")
        ]


class OperatorMessage(models.Model):
    """A message to the operators. `payload` is an apps.alerts.installation.messages.OperatorsMessage."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    route = models.CharField(max_length=10, choices=OperatorRoute.choices)
    payload = models.JSONField()
    state = models.CharField(
        max_length=10, choices=DeliveryState.choices, default=DeliveryState.PENDING
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    problem = models.CharField(max_length=300, blank=True)  # why the last attempt has failed
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
