"""Every text that users enter uses the field for names, and the database checks it too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from rest_framework import serializers

from apps.auth import names
from apps.orgs.http.texts import AsciiEmailField, NameField
from apps.web import openapi
from apps.web.reader import METHODS
from tests.guards.test_models import ours

# Request fields that are texts but not names: they are validated otherwise, stored separately or not stored.
OTHER_TEXTS = {
    **dict.fromkeys(
        ("password", "new_password", "current_password", "client_secret", "token", "content"),
        "kept exactly, hashed, sealed or decoded",
    ),
    **dict.fromkeys(
        ("challenge", "mfa_code", "invitation", "code"), "compared with what we gave out, or code"
    ),
    **dict.fromkeys(("email", "kind", "stream"), "looked up, never stored from here"),
    **dict.fromkeys(
        (
            *("schemas", "externalId", "op", "path"),
            *("filter", "attributes", "excludedAttributes", "sortBy", "sortOrder"),
        ),
        "SCIM: read and compared; the texts of these that are kept are checked by apps.orgs.scim.store",
    ),
}
# Columns with such a name whose values users do not enter.
OTHER_COLUMNS = {
    "runs.Output.name": "made by the engine",
    "identity.RefreshFamily.revoked_reason": "one of our own words",
    "orgs.FederatedIdentity.subject": "an issuer's word for somebody, compared exactly and shown to nobody",
    "orgs.AuditEvent.actor_label": "cleaned when it is recorded; what was recorded never changes",
    "orgs.AuditEvent.object_label": "cleaned when it is recorded; what was recorded never changes",
}
NAME_LIKE = re.compile(
    r"(.*_)?(name|label|title|note|author|subject|reason|because|username)|user_agent"
    r"|external_id|description|tags"
)


def classes(of: Any = serializers.Serializer) -> Iterator[Any]:
    for found in of.__subclasses__():
        yield found
        yield from classes(found)


def asked() -> dict[str, set[str]]:
    """Return the components of request bodies, nested ones included, with the names of their fields."""
    document = openapi.document()
    schemas = document["components"]["schemas"]
    waiting = [
        methods[method]["requestBody"]
        for methods in document["paths"].values()
        for method in METHODS
        if "requestBody" in methods.get(method, {})
    ]
    found: dict[str, set[str]] = {}
    while waiting:
        for name in re.findall(r"#/components/schemas/(\w+)", str(waiting.pop())):
            if name not in found:
                found[name] = set(schemas[name].get("properties", {}))
                waiting.append(schemas[name])
    return found


def bodies() -> list[Any]:
    """Return the serializers of those components. `openapi.document` has imported every view."""
    described: dict[str, list[set[str]]] = {}
    for name, fields in asked().items():
        described.setdefault(name.removeprefix("Patched").removesuffix("Request"), []).append(
            fields
        )
    found = [
        one
        for one in classes()
        if any(fields <= set(one().fields) for fields in described.get(one.__name__, ()))
    ]
    return sorted(found, key=lambda one: str(one.__name__))


def texts(form: Any) -> Iterator[tuple[str, serializers.Field[Any, Any, Any, Any]]]:
    for name, field in form().fields.items():
        inner = getattr(field, "child", field)
        if isinstance(inner, serializers.CharField) and not field.read_only:
            yield name, inner


@pytest.mark.parametrize("form", bodies(), ids=lambda form: form.__name__)
def test_each_text_of_a_body_is_a_name_or_has_a_reason(form: Any) -> None:
    for name, field in texts(form):
        fine = isinstance(field, NameField | AsciiEmailField) or name in OTHER_TEXTS
        assert fine or type(field) is not serializers.CharField, f"{form.__name__}.{name}"
        assert not (NAME_LIKE.fullmatch(name) and name in OTHER_TEXTS), name


def test_the_bodies_are_found_and_the_list_of_other_texts_is_not_stale() -> None:
    found = {form.__name__ for form in bodies()}
    assert {"OrganizationChange", "Registration", "PipelineCreate", "ScimGroupIn"} <= found
    written = {name for form in bodies() for name, _ in texts(form)}
    assert set(OTHER_TEXTS) <= written


@pytest.mark.parametrize("model", ours(), ids=lambda model: model._meta.label)
def test_the_database_checks_each_column_that_holds_a_name(model: type[models.Model]) -> None:
    rules = [rule for rule in model._meta.constraints if isinstance(rule, models.CheckConstraint)]

    def checked(field: models.Field[Any, Any]) -> bool:
        """Return the constraint by `names` on this column, whatever its name."""
        if isinstance(field, ArrayField):
            wanted = [names.plain_list_check(field.name, name="")]
        else:
            several = field.name == "description"
            wanted = [names.plain_text_check(field.name, name="", multiline=several)]
        return any(rule.condition == one.condition for rule in rules for one in wanted)

    for field in model._meta.local_fields:
        text = getattr(field, "base_field", field)
        if isinstance(text, models.CharField) and NAME_LIKE.fullmatch(field.name):
            label = f"{model._meta.label}.{field.name}"
            assert checked(field) or label in OTHER_COLUMNS or text.choices, label


def test_a_mail_contains_only_the_listed_user_supplied_texts() -> None:
    listed = {
        "home": "a setting",
        "link": "ours",
        "hours": "a number",
        "days": "a number",
        "role": "one of four words",
        "organization": "quoted by apps.auth.mailing.mail.quote_name",
        "invited_by.email": "an address without quotes or spaces",
    }
    folder = settings.BASE_DIR / "templates" / "mail"
    shown = {
        variable
        for template in folder.glob("*.txt")
        for variable in re.findall(r"{{\s*([\w.]+)", template.read_text())
    }
    assert shown == set(listed)


def test_the_list_of_other_columns_is_not_stale() -> None:
    columns = {f"{m._meta.label}.{f.name}" for m in ours() for f in m._meta.local_fields}
    assert set(OTHER_COLUMNS) <= columns
