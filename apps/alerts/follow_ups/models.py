"""What is called after the runs of a pipeline, and the calls."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from apps.alerts.follow_ups.choices import CallState, FollowUpAfter, FollowUpKind
from apps.auth import names
from apps.auth.models import User
from apps.orgs.tenancy import OrgOwned
from apps.pipelines.models import Pipeline


class FollowUp(OrgOwned):
    """What is called after a run of a pipeline has ended. Its columns are those of a channel."""

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="+", db_constraint=False)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=10, choices=FollowUpKind.choices)
    after = models.CharField(
        max_length=10, choices=FollowUpAfter.choices, default=FollowUpAfter.SUCCESS
    )
    settings = models.JSONField(default=dict)
    sealed = models.TextField(blank=True)  # {path: secret}, see apps.orgs.vault
    secret_hints = models.JSONField(default=dict)  # {path: last four characters}
    enabled = models.BooleanField(default=True)
    etag = models.PositiveIntegerField(default=1)
    created_by = models.ForeignKey(User, models.SET_NULL, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint("org", "pipeline", Lower("name"), name="alerts_followup_name"),
            models.CheckConstraint(
                condition=models.Q(kind__in=FollowUpKind.values), name="alerts_followup_kind"
            ),
            models.CheckConstraint(
                condition=models.Q(after__in=FollowUpAfter.values), name="alerts_followup_after"
            ),
            names.plain_text_check("name", name="alerts_followup_name_plain"),
        ]


class FollowUpCall(OrgOwned):
    """One call after one end of a run, with the answer. `payload` is an apps.alerts.follow_ups.calls.Payload."""

    follow_up = models.ForeignKey(FollowUp, models.CASCADE, related_name="+", db_constraint=False)
    run_id = models.UUIDField()  # may have been removed
    payload = models.JSONField()
    state = models.CharField(max_length=10, choices=CallState.choices, default=CallState.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    first_attempt_at = models.DateTimeField(null=True)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    answer_status = models.PositiveSmallIntegerField(null=True)  # of HTTP
    answer = models.CharField(max_length=500, blank=True)  # the beginning of the answer's body
    problem = models.CharField(max_length=300, blank=True)  # why the last attempt has failed
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=CallState.values), name="alerts_followup_state"
            )
        ]
        indexes = [
            models.Index(fields=["follow_up", "-created_at", "-id"], name="alerts_followup_newest"),
            models.Index(
                fields=["next_attempt_at"],
                condition=models.Q(state=CallState.PENDING),
                name="alerts_followup_pending",
            ),
        ]
