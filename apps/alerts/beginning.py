"""The first channel and rules of a new org, by which its owners get mails.

A run has failed after its retries, a pipeline is late, a limit is nearly reached or reached, a key, certificate or token ends
soon, no worker starts the runs, or the storage cannot be reached.
"""

from __future__ import annotations

from apps.alerts.models import Channel, ChannelKind, Rule, RuleChannel
from apps.orgs.models import Org

OWNERS_CHANNEL = "Owners"
# The tolerance is longer than a restart of Drover, so that an upgrade does not tell that every pipeline is late.
FIRST_RULES = {
    "run_failed": {},
    "late": {"tolerance_minutes": 30},
    "limit_near": {"percent": 80},
    "limit_reached": {},
    "credential_ends": {"days": 7},
    "no_worker": {"minutes": 15},
    "no_storage": {"minutes": 15},
}


def add_first_rules(org: Org) -> None:
    """Add the channel and the rules. Migrations have added them to the orgs that existed before, except `late` (ADR 91)."""
    channel = Channel.unscoped.create(
        org=org, name=OWNERS_CHANNEL, kind=ChannelKind.EMAIL, settings={"to": []}
    )
    rules = Rule.unscoped.bulk_create(
        Rule(org=org, kind=kind, settings=settings) for kind, settings in FIRST_RULES.items()
    )
    RuleChannel.unscoped.bulk_create(
        RuleChannel(org=org, rule=rule, channel=channel) for rule in rules
    )
