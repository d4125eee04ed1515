"""Every model belongs to an org, or is listed with a reason."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.apps import apps
from django.db import models

from apps.orgs.tenancy import OrgManager, OrgOwned, OrgScopeMissing

APP_LABELS = (
    "background",
    "identity",
    "orgs",
    "connectors",
    "pipelines",
    "runs",
    "alerts",
    "agent",
)
MODELS_WITHOUT_ORG = {
    "identity.User": "A person may belong to several orgs.",
    "identity.RefreshFamily": "A session belongs to a person.",
    "identity.RefreshToken": "Part of a session.",
    "identity.Challenge": "Stored between two requests of a user who may not be logged in yet.",
    "identity.MailedLink": "Used by a person who is not logged in.",
    "identity.StreamTicket": "Used before its org is known.",
    "identity.LoginAttempt": "Counted before the user is known.",
    "alerts.InstallationProblem": "Belongs to the whole installation, and has no data of an org.",
    "alerts.OperatorMessage": "Tells operators about such problems.",
    "orgs.Org": "The org itself, which has its own policy.",
}


def all_models() -> list[type[models.Model]]:
    return [model for label in APP_LABELS for model in apps.get_app_config(label).get_models()]


def org_owned_models() -> list[type[OrgOwned]]:
    return [model for model in all_models() if issubclass(model, OrgOwned)]


def test_every_app_is_listed_in_app_labels() -> None:
    found = {config.label for config in apps.get_app_configs() if config.name.startswith("apps.")}
    assert found == set(APP_LABELS)


def test_every_model_is_owned_by_an_org_or_listed() -> None:
    models_without_org = {
        model._meta.label for model in all_models() if not issubclass(model, OrgOwned)
    }
    assert models_without_org == set(MODELS_WITHOUT_ORG)


@pytest.mark.parametrize("model", org_owned_models(), ids=lambda model: model._meta.label)
def test_an_org_owned_model_cannot_be_read_without_its_org(model: type[OrgOwned]) -> None:
    with pytest.raises(OrgScopeMissing):
        model.objects.all()
    assert isinstance(model.objects, OrgManager)
    assert model._meta.base_manager_name == "unscoped"


@pytest.mark.parametrize("model", org_owned_models(), ids=lambda model: model._meta.label)
def test_for_org_filters_by_the_org(model: type[OrgOwned]) -> None:
    """Check the SQL text, because row-level security would hide a missing filter."""
    org = uuid4()
    sql = str(model.objects.for_org(org).query)
    assert f'"{model._meta.db_table}"."org_id" = {org}' in sql.partition(" WHERE ")[2]


@pytest.mark.parametrize("model", org_owned_models(), ids=lambda model: model._meta.label)
def test_an_org_owned_row_is_deleted_with_its_org(model: type[OrgOwned]) -> None:
    org = model._meta.get_field("org")
    assert isinstance(org, models.ForeignKey)
    assert not org.null
    assert org.remote_field.on_delete is models.CASCADE


@pytest.mark.parametrize("model", org_owned_models(), ids=lambda model: model._meta.label)
def test_no_reverse_accessor_bypasses_the_manager(model: type[OrgOwned]) -> None:
    for field in model._meta.get_fields():
        if isinstance(field, models.ForeignKey):
            name = field.remote_field.related_name or ""
            assert name.endswith("+"), f"{model._meta.label}.{field.name}: related_name='+'"


@pytest.mark.parametrize("model", org_owned_models(), ids=lambda model: model._meta.label)
def test_unique_constraints_include_the_org(model: type[OrgOwned]) -> None:
    """A unique constraint without the org would reveal that a row of another org exists."""
    allowed_without_org = {
        "alerts.FreshnessPage.digest": "random, and used to find the org",
        "orgs.ApiKey.prefix": "random, and used to find the org",
        "orgs.Invitation.digest": "random, and used to find the org",
        "orgs_verifieddomain_owner": "only affects orgs that have proven the same domain by DNS",
    }
    for field in model._meta.local_fields:
        if field.unique and not field.primary_key and not isinstance(field, models.OneToOneField):
            assert f"{model._meta.label}.{field.name}" in allowed_without_org
    for constraint in model._meta.constraints:
        if isinstance(constraint, models.UniqueConstraint) and constraint.fields:
            first = constraint.fields[0]
            includes_org = first == "org" or _is_reference_within_the_org(model, first)
            assert includes_org or constraint.name in allowed_without_org, constraint.name


def _is_reference_within_the_org(model: type[models.Model], name: str) -> bool:
    """Return whether the field refers to an org-owned model, whose rows are in the same org by composite key."""
    field = model._meta.get_field(name)
    target = field.related_model
    return isinstance(target, type) and issubclass(target, OrgOwned)
