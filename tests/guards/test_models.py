"""Every table belongs to an org, or the reason why not is listed."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.apps import apps
from django.db import models

from apps.orgs.tenancy import OrgManager, OrgOwned, OrgScopeMissing

ROOMS = ("background", "identity", "orgs", "connectors", "pipelines", "runs")
NOT_OWNED = {
    "identity.User": "A person may belong to several orgs.",
    "identity.RefreshFamily": "A session belongs to a person.",
    "identity.RefreshToken": "Part of a session.",
    "identity.Challenge": "Remembered between two requests of someone, who may not be logged in yet.",
    "identity.MailedLink": "Followed by someone who is not logged in.",
    "identity.StreamTicket": "Spent before its org is looked at.",
    "identity.LoginAttempt": "Counted before anyone is known.",
    "orgs.Org": "The org itself; protected by its own policy.",
}


def ours() -> list[type[models.Model]]:
    return [model for room in ROOMS for model in apps.get_app_config(room).get_models()]


def owned() -> list[type[OrgOwned]]:
    return [model for model in ours() if issubclass(model, OrgOwned)]


def test_every_app_of_ours_is_walked() -> None:
    found = {config.label for config in apps.get_app_configs() if config.name.startswith("apps.")}
    assert found == set(ROOMS)


def test_every_model_is_owned_by_an_org_or_listed() -> None:
    others = {model._meta.label for model in ours() if not issubclass(model, OrgOwned)}
    assert others == set(NOT_OWNED)


@pytest.mark.parametrize("model", owned(), ids=lambda model: model._meta.label)
def test_an_org_owned_model_cannot_be_read_without_its_org(model: type[OrgOwned]) -> None:
    with pytest.raises(OrgScopeMissing):
        model.objects.all()
    assert isinstance(model.objects, OrgManager)
    assert model._meta.base_manager_name == "unscoped"


@pytest.mark.parametrize("model", owned(), ids=lambda model: model._meta.label)
def test_a_read_that_names_the_org_asks_for_its_rows_only(model: type[OrgOwned]) -> None:
    """Without the org's rows: row-level security would hide that it does not."""
    org = uuid4()
    asked = str(model.objects.for_org(org).query)
    assert f'"{model._meta.db_table}"."org_id" = {org}' in asked.partition(" WHERE ")[2]


@pytest.mark.parametrize("model", owned(), ids=lambda model: model._meta.label)
def test_an_org_owned_row_dies_with_its_org(model: type[OrgOwned]) -> None:
    org = model._meta.get_field("org")
    assert isinstance(org, models.ForeignKey)
    assert not org.null
    assert org.remote_field.on_delete is models.CASCADE


@pytest.mark.parametrize("model", owned(), ids=lambda model: model._meta.label)
def test_no_reverse_accessor_leads_around_the_manager(model: type[OrgOwned]) -> None:
    for field in model._meta.get_fields():
        if isinstance(field, models.ForeignKey):
            name = field.remote_field.related_name or ""
            assert name.endswith("+"), f"{model._meta.label}.{field.name}: related_name='+'"


@pytest.mark.parametrize("model", owned(), ids=lambda model: model._meta.label)
def test_uniqueness_starts_with_the_org(model: type[OrgOwned]) -> None:
    """A unique constraint over orgs would reveal that a row of another org exists."""
    over_orgs = {
        "orgs.ApiKey.prefix": "random, and looked up before the org is known",
        "orgs.Invitation.digest": "random, and looked up before the org is known",
        "orgs_verifieddomain_owner": "met only by whoever has published the record that proves the domain",
    }
    for field in model._meta.local_fields:
        if field.unique and not field.primary_key and not isinstance(field, models.OneToOneField):
            assert f"{model._meta.label}.{field.name}" in over_orgs
    for rule in model._meta.constraints:
        if isinstance(rule, models.UniqueConstraint) and rule.fields:
            first = rule.fields[0]
            fine = first == "org" or _refers_inside_the_org(model, first)
            assert fine or rule.name in over_orgs, rule.name


def _refers_inside_the_org(model: type[models.Model], name: str) -> bool:
    """A reference by composite key: its target is in the same org, so the constraint is too."""
    field = model._meta.get_field(name)
    target = field.related_model
    return isinstance(target, type) and issubclass(target, OrgOwned)
