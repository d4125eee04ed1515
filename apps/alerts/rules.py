"""Rules: create, change and delete them. A rule of a domain, or of a pipeline in it, may be edited with a role there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict
from uuid import UUID

from django.db.models import Q

from apps.alerts.exceptions import TooManyRules
from apps.alerts.models import Channel, Rule, RuleChannel, Scope
from apps.alerts.rule_kinds.registry import PIPELINE_KINDS, RULE_KINDS
from apps.json import JsonObject
from apps.orgs import audit
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Domain, Org
from apps.orgs.placement import can_see, find_object
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.tenancy import OrgQuerySet
from apps.orgs.versions import Match, require_match
from apps.pipelines import visibility
from apps.pipelines.models import Pipeline

MAX_RULES = 200  # of one org


class RuleChanges(TypedDict, total=False):
    """Changes of a rule. A value that is left out does not change."""

    kind: str
    settings: JsonObject
    scope: str
    scope_id: UUID  # of a domain or a pipeline
    tag: str
    channel_ids: Sequence[UUID]
    urgent: bool
    enabled: bool


def rules(org: Org, by: Principal) -> OrgQuerySet[Rule]:
    """Return the rules that the principal can see. An API key for one domain sees only those about its objects."""
    rows = Rule.objects.for_org(org).exclude(kind__in=hidden_kinds(by))
    if by.only_domain is None:
        return rows
    return rows.filter(Q(domain_id=by.only_domain) | Q(pipeline__domain_id=by.only_domain))


def hidden_kinds(by: Principal) -> list[str]:
    """Return the kinds of rules that tell what the principal may not see."""
    return [
        name
        for name, kind in RULE_KINDS.items()
        if kind.permission is not None and not by.may(kind.permission)
    ]


def covering(pipeline: Pipeline) -> Q:
    """Return the condition for the rules about pipelines whose scope has this one."""
    scope = Q(scope=Scope.ORG) | Q(pipeline=pipeline) | Q(scope=Scope.TAG, tag__in=pipeline.tags)
    if pipeline.domain_id:
        scope |= Q(domain_id=pipeline.domain_id)
    return scope & Q(kind__in=PIPELINE_KINDS)


def rules_for_pipeline(org: Org, by: Principal, pipeline_id: UUID) -> OrgQuerySet[Rule]:
    """Return the rules that the principal can see and whose scope has the pipeline."""
    pipeline = visibility.pipelines(org, by).filter(pk=pipeline_id).first()
    return rules(org, by).filter(covering(pipeline)) if pipeline else rules(org, by).none()


def find_rule(*, org: Org, by: Principal, rule_id: UUID) -> Rule:
    """Return the rule. Raises NotFound."""
    return find_object(rules(org, by), rule_id)


def channel_ids(org: Org, rule_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    """Return the channels of each rule, by one query."""
    found: dict[UUID, list[UUID]] = {rule_id: [] for rule_id in rule_ids}
    rows = RuleChannel.objects.for_org(org).filter(rule_id__in=rule_ids).order_by("channel__name")
    for rule_id, channel_id in rows.values_list("rule_id", "channel_id"):
        found[rule_id].append(channel_id)
    return found


def create(*, org: Org, by: Principal, values: RuleChanges) -> Rule:
    """Create a rule. Raises Invalid and TooManyRules."""
    # The org is locked, so that two requests cannot both create the last rule.
    Org.objects.select_for_update(no_key=True).get(pk=org.pk)
    if Rule.objects.for_org(org).count() >= MAX_RULES:
        raise TooManyRules
    rule = Rule(org=org, created_by_id=by.user_id)
    _apply(org, by, rule, values)
    rule.save(force_insert=True)
    _set_channels(org, rule, values.get("channel_ids", []))
    _record(org, by, "alert_rule.create", rule, {})
    return rule


def update(
    *, org: Org, by: Principal, rule_id: UUID, changes: RuleChanges, match: Match = None
) -> Rule:
    """Change a rule. Its open alerts stay open until their pipelines succeed. Raises NotFound, ChangedMeanwhile, Invalid."""
    rule = lock(org, by, rule_id, match)
    before = _audited_values(rule)
    _apply(org, by, rule, changes)
    rule.etag += 1
    rule.save()
    audited: dict[str, Any] = {
        name: [before[name], value]
        for name, value in _audited_values(rule).items()
        if before[name] != value
    }
    if "channel_ids" in changes:
        old, new = _set_channels(org, rule, changes["channel_ids"])
        if old != new:
            audited["channels"] = [old, new]
    _record(org, by, "alert_rule.update", rule, audited)
    return rule


def delete(*, org: Org, by: Principal, rule_id: UUID, match: Match = None) -> None:
    """Delete a rule with its alerts. What was decided is still sent. Raises NotFound and ChangedMeanwhile."""
    rule = lock(org, by, rule_id, match)
    _record(org, by, "alert_rule.delete", rule, {})
    rule.delete()


def lock(org: Org, by: Principal, rule_id: UUID, match: Match = None) -> Rule:
    """Lock the rule to change it. Raises NotFound, PermissionMissing and ChangedMeanwhile."""
    rule = find_object(rules(org, by), rule_id, lock=True)
    by.require(Permission.ALERTS_EDIT, domain_id=_domain_of(org, rule))
    require_match(match, rule.etag)
    return rule


def _domain_of(org: Org, rule: Rule) -> UUID | None:
    if rule.pipeline_id is None:
        return rule.domain_id
    pipelines = Pipeline.objects.for_org(org).filter(pk=rule.pipeline_id)
    return pipelines.values_list("domain_id", flat=True).first()


def _apply(org: Org, by: Principal, rule: Rule, values: RuleChanges) -> None:
    """Set the values, and check them together. Raises Invalid and PermissionMissing."""
    rule.enabled = values.get("enabled", rule.enabled)
    rule.urgent = values.get("urgent", rule.urgent)
    _set_kind(rule, values)
    if values.keys() & {"scope", "scope_id", "tag"}:
        _set_scope(rule, values)
    _require_scope_of_kind(rule)
    _require_place(org, by, rule)


def _set_kind(rule: Rule, values: RuleChanges) -> None:
    """Set the kind and its settings. Another kind begins with its defaults. Raises Invalid."""
    is_same = rule.kind == (kind_name := values.get("kind", rule.kind))
    kind = RULE_KINDS[kind_name]
    settings = values.get("settings", rule.settings if is_same else {})
    if errors := kind.errors(settings):
        raise Invalid(errors)
    rule.kind, rule.settings = kind_name, kind.with_defaults(settings)


def _set_scope(rule: Rule, values: RuleChanges) -> None:
    """Set the scope. If it stays the same, what is left out does not change. Raises Invalid."""
    scope = values.get("scope", rule.scope)
    is_same = scope == rule.scope
    scope_id = values.get("scope_id", rule.scope_id if is_same else None)
    tag = values.get("tag", rule.tag if is_same else "")
    needs_id = scope in {Scope.DOMAIN, Scope.PIPELINE}
    if needs_id != (scope_id is not None):
        message = f"The scope {scope} {'needs' if needs_id else 'has no'} id."
        raise Invalid([("scope_id", message, "required" if needs_id else "invalid")])
    if (scope == Scope.TAG) != bool(tag):
        message = f"The scope {scope} {'has no' if tag else 'needs a'} tag."
        raise Invalid([("tag", message, "invalid" if tag else "required")])
    rule.scope, rule.tag = scope, tag
    rule.domain_id = scope_id if scope == Scope.DOMAIN else None
    rule.pipeline_id = scope_id if scope == Scope.PIPELINE else None


def _require_scope_of_kind(rule: Rule) -> None:
    scopes = RULE_KINDS[rule.kind].scopes
    if rule.scope not in scopes:
        message = f"A rule of this kind needs the scope {' or '.join(scopes)}."
        raise Invalid([("scope", message, "invalid")])


def _require_place(org: Org, by: Principal, rule: Rule) -> None:
    """Raise Invalid for an unknown domain or pipeline, and PermissionMissing if the principal may not edit rules there."""
    if permission := RULE_KINDS[rule.kind].permission:
        by.require(permission)
    if rule.pipeline_id is None:
        _require_domain(org, by, rule.domain_id)
        return
    pipeline = visibility.pipelines(org, by).filter(pk=rule.pipeline_id).first()
    if pipeline is None:
        message = "There is no such pipeline in this organization."
        raise Invalid([("scope_id", message, "unknown")])
    by.require(Permission.ALERTS_EDIT, domain_id=pipeline.domain_id)


def _require_domain(org: Org, by: Principal, domain_id: UUID | None) -> None:
    if domain_id and not (
        can_see(by, domain_id) and Domain.objects.for_org(org).filter(pk=domain_id).exists()
    ):
        message = "There is no such domain in this organization."
        raise Invalid([("scope_id", message, "unknown")])
    by.require(Permission.ALERTS_EDIT, domain_id=domain_id)


def _set_channels(org: Org, rule: Rule, wanted: Sequence[UUID]) -> tuple[list[str], list[str]]:
    """Set the channels of the rule. Returns the names before and after. Raises Invalid for an unknown channel."""
    found = {channel.pk: channel for channel in Channel.objects.for_org(org).filter(pk__in=wanted)}
    if len(found) != len(set(wanted)):
        message = "There is no such channel in this organization."
        raise Invalid([("channel_ids", message, "unknown")])
    rows = RuleChannel.objects.for_org(org).filter(rule=rule)
    before = list(rows.order_by("channel__name").values_list("channel__name", flat=True))
    rows.delete()
    RuleChannel.unscoped.bulk_create(
        RuleChannel(org=org, rule=rule, channel=channel) for channel in found.values()
    )
    return before, sorted(channel.name for channel in found.values())


def _audited_values(rule: Rule) -> dict[str, Any]:
    return {
        "kind": rule.kind,
        "settings": rule.settings,
        "scope": rule.scope,
        "scope_id": str(rule.scope_id) if rule.scope_id else None,
        "tag": rule.tag,
        "urgent": rule.urgent,
        "enabled": rule.enabled,
    }


def _record(org: Org, by: Principal, action: str, rule: Rule, changes: dict[str, Any]) -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="alert_rule",
        object_id=rule.pk,
        object_label=rule.kind.replace("_", " "),
        changes=changes,
    )
