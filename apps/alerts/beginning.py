"""The first channel and rule of a new org: its owners get a mail when a run has failed after its retries."""

from __future__ import annotations

from apps.alerts.models import Channel, ChannelKind, Rule, RuleChannel
from apps.orgs.models import Org

OWNERS_CHANNEL = "Owners"


def add_first_rule(org: Org) -> None:
    """Add the channel and the rule. Migration 0003 does the same for the orgs that existed before."""
    channel = Channel.unscoped.create(
        org=org, name=OWNERS_CHANNEL, kind=ChannelKind.EMAIL, settings={"to": []}
    )
    rule = Rule.unscoped.create(org=org, kind="run_failed")
    RuleChannel.unscoped.create(org=org, rule=rule, channel=channel)
