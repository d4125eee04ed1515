"""What is called after a run, after which runs, why, and the states of a call."""

from __future__ import annotations

from django.db import models


class FollowUpKind(models.TextChoices):
    WEBHOOK = "webhook"
    DBT_CLOUD = "dbt_cloud"


class FollowUpAfter(models.TextChoices):
    SUCCESS = "success"
    END = "end"  # also after a failed or cancelled run


class CallKind(models.TextChoices):
    RUN_ENDED = "run_ended"
    TEST = "test"  # somebody has asked for it


class CallState(models.TextChoices):
    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"
