"""What is called after a run, and after which runs."""

from __future__ import annotations

from django.db import models


class FollowUpKind(models.TextChoices):
    WEBHOOK = "webhook"
    DBT_CLOUD = "dbt_cloud"


class FollowUpAfter(models.TextChoices):
    SUCCESS = "success"
    END = "end"  # also after a failed or cancelled run
