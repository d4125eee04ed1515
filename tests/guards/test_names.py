"""Every text that users enter is validated by a serializer field for names and by the database."""

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
from apps.web.api_docs import METHODS
from tests.guards.test_models import all_models

# Request fields that are texts but not names: they are validated in another way, or not stored as visible text.
OTHER_TEXTS = {
    **dict.fromkeys(
        (
            "password",
            "new_password",
            "current_password",
            "client_secret",
            "token",
            "content",
            "key",
        ),
        "stored exactly, hashed, encrypted or decoded",
    ),
    **dict.fromkeys(
        ("challenge", "mfa_code", "invitation", "code"),
        "compared with a value that Drover issued, or Python code",
    ),
    **dict.fromkeys(("words", "timezone"), "read as a schedule, and not stored"),
    **dict.fromkeys(("start", "end"), "times of the day, as blackout_parser validates them"),
    **dict.fromkeys(
        ("email", "kind", "stream", "streams"), "used to find a stored value, and not stored"
    ),
    **dict.fromkeys(
        (
            *("schemas", "externalId", "op", "path"),
            *("filter", "attributes", "excludedAttributes", "sortBy", "sortOrder"),
        ),
        "parts of SCIM requests; apps.orgs.scim.store validates those that are stored",
    ),
}
# Columns that match NAME_LIKE, but whose values users do not enter.
OTHER_COLUMNS = {
    "alerts.Channel.disabled_reason": "written by Drover",
    "runs.Output.name": "created by the engine",
    "pipelines.PipelineStream.name": "part of the definition, which is JSON and has no such check",
    "runs.RunStream.name": "part of the definition, which is JSON and has no such check",
    "identity.RefreshFamily.revoked_reason": "one of a fixed list of words",
    "orgs.FederatedIdentity.subject": "an issuer's identifier of a person, compared exactly and never displayed",
    "orgs.AuditEvent.actor_label": "cleaned before it is recorded, and never changed",
    "orgs.AuditEvent.object_label": "cleaned before it is recorded, and never changed",
}
NAME_LIKE = re.compile(
    r"(.*_)?(name|label|title|note|author|subject|reason|because|username)|user_agent"
    r"|external_id|description|tags"
)


def subclasses(parent: Any = serializers.Serializer) -> Iterator[Any]:
    for subclass in parent.__subclasses__():
        yield subclass
        yield from subclasses(subclass)


def request_components() -> dict[str, set[str]]:
    """Return the field names of each OpenAPI component in a request body, including nested components."""
    document = openapi.document()
    schemas = document["components"]["schemas"]
    unread = [
        methods[method]["requestBody"]
        for methods in document["paths"].values()
        for method in METHODS
        if "requestBody" in methods.get(method, {})
    ]
    found: dict[str, set[str]] = {}
    while unread:
        for name in re.findall(r"#/components/schemas/(\w+)", str(unread.pop())):
            if name not in found:
                found[name] = set(schemas[name].get("properties", {}))
                unread.append(schemas[name])
    return found


def request_serializers() -> list[Any]:
    """Return the serializers of the request components. `openapi.document` has imported every view."""
    fields_by_name: dict[str, list[set[str]]] = {}
    for name, fields in request_components().items():
        fields_by_name.setdefault(name.removeprefix("Patched").removesuffix("Request"), []).append(
            fields
        )
    found = [
        serializer
        for serializer in subclasses()
        if any(
            fields <= set(serializer().fields)
            for fields in fields_by_name.get(serializer.__name__, ())
        )
    ]
    return sorted(found, key=lambda serializer: str(serializer.__name__))


def text_fields(serializer: Any) -> Iterator[tuple[str, serializers.Field[Any, Any, Any, Any]]]:
    for name, field in serializer().fields.items():
        inner = getattr(field, "child", field)
        if isinstance(inner, serializers.CharField) and not field.read_only:
            yield name, inner


@pytest.mark.parametrize(
    "serializer", request_serializers(), ids=lambda serializer: serializer.__name__
)
def test_each_text_field_of_a_request_is_a_name_or_has_a_reason(serializer: Any) -> None:
    for name, field in text_fields(serializer):
        is_allowed = isinstance(field, NameField | AsciiEmailField) or name in OTHER_TEXTS
        assert is_allowed or type(field) is not serializers.CharField, (
            f"{serializer.__name__}.{name}"
        )
        assert not (NAME_LIKE.fullmatch(name) and name in OTHER_TEXTS), name


def test_request_serializers_are_found_and_every_other_text_still_exists() -> None:
    found = {serializer.__name__ for serializer in request_serializers()}
    assert {"OrganizationChange", "Registration", "PipelineCreate", "ScimGroupIn"} <= found
    field_names = {
        name for serializer in request_serializers() for name, _ in text_fields(serializer)
    }
    assert set(OTHER_TEXTS) <= field_names


@pytest.mark.parametrize("model", all_models(), ids=lambda model: model._meta.label)
def test_the_database_checks_each_column_that_holds_a_name(model: type[models.Model]) -> None:
    constraints = [
        constraint
        for constraint in model._meta.constraints
        if isinstance(constraint, models.CheckConstraint)
    ]

    def has_constraint(field: models.Field[Any, Any]) -> bool:
        """Return whether the column has the constraint from `apps.auth.names`. The constraint may have any name."""
        if isinstance(field, ArrayField):
            expected = names.plain_list_check(field.name, name="")
        else:
            has_several_lines = field.name == "description"
            expected = names.plain_text_check(field.name, name="", multiline=has_several_lines)
        return any(constraint.condition == expected.condition for constraint in constraints)

    for field in model._meta.local_fields:
        text = getattr(field, "base_field", field)
        if isinstance(text, models.CharField) and NAME_LIKE.fullmatch(field.name):
            label = f"{model._meta.label}.{field.name}"
            assert has_constraint(field) or label in OTHER_COLUMNS or text.choices, label


def test_mail_templates_contain_only_the_listed_variables() -> None:
    allowed = {
        "home": "a setting",
        "link": "built by Drover",
        "hours": "a number",
        "days": "a number",
        "role": "one of four words",
        "title": "built by Drover, with names quoted by quote_name",
        "event": "built by Drover, with texts made harmless by apps.auth.mailing.mail.unlinked_text",
        "more": "built by Drover",
        "organization": "quoted by apps.auth.mailing.mail.quote_name",
        "invited_by.email": "an address without quotes or spaces",
    }
    folder = settings.BASE_DIR / "templates" / "mail"
    variables = {
        variable
        for template in folder.glob("*.txt")
        for variable in re.findall(r"{{\s*([\w.]+)", template.read_text())
    }
    assert variables == set(allowed)


def test_the_list_of_other_columns_is_not_stale() -> None:
    columns = {f"{m._meta.label}.{f.name}" for m in all_models() for f in m._meta.local_fields}
    assert set(OTHER_COLUMNS) <= columns
