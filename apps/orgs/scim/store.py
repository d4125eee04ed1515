"""Users and groups of one org's directory as SCIM resources: read, create, replace, patch and remove.

A resource contains only data of the org's own rows. `provisioning` applies each change to memberships and invitations.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from uuid import UUID

import scim2_models as scim
from django.conf import settings
from django.core.exceptions import ValidationError as InvalidAddress
from django.core.validators import validate_email
from django.db.models import QuerySet
from pydantic import ValidationError
from scim2_models import Context

from apps.auth import names
from apps.orgs.models import Org, ScimGroup, ScimMembership, ScimUser
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.scim import group_patches, provisioning
from apps.orgs.scim.errors import BASE_PATH
from apps.orgs.scim.resources import POLICY, FullUser, Group, Member
from apps.web.problems import Problem
from apps.web.wire import dumps

MAX_CLAIMS_SIZE = 64 * 1024  # bytes of JSON per user
MAX_OPERATIONS = 1000  # operations per PATCH
COLUMNS = {"userName": "user_name", "externalId": "external_id", "displayName": "display_name"}
MAX_LENGTHS = {"userName": 254, "externalId": 200, "displayName": 200}
AUDIT_VERBS = {
    "create": "create",
    "replace": "update",
    "patch": "update",
}  # last part of the audit event's name
# Attributes that the directory cannot set.
READ_ONLY_ATTRIBUTES = {
    "schemas",
    "id",
    "meta",
    "groups",
}


@contextmanager
def errors_as_problems() -> Iterator[None]:
    """Convert errors of scim2_models to problems with SCIM's error type (`scimType`)."""
    try:
        yield
    except ValidationError as error:
        raise problem_of(scim.Error.from_validation_errors(error)) from None
    except scim.SCIMException as error:
        cause = error.__cause__
        errors = (
            scim.Error.from_validation_errors(cause) if isinstance(cause, ValidationError) else []
        )
        raise problem_of(errors or [error.to_error()]) from None


def problem_of(errors: list[scim.Error]) -> Problem:
    first = errors[0]
    detail = " ".join(f"{error.detail}." for error in errors[:5])
    return Problem(
        first.status or 400, detail.replace("..", "."), first.scim_type or "invalidValue"
    )


def invalid_value(detail: str) -> Problem:
    return Problem(400, detail, "invalidValue")


class Store(ABC):
    """The base class of the stores of users and of groups."""

    name: ClassVar[str]  # name of the resource type
    model: ClassVar[type[scim.Resource[Any]]]
    memberships_attribute: ClassVar[str]  # the attribute that contains memberships in groups

    def __init__(self, org: Org, by: Principal) -> None:
        self.org, self.by = org, by

    @abstractmethod
    def rows(self) -> QuerySet[Any]: ...

    @abstractmethod
    def new_row(self) -> Any: ...

    @abstractmethod
    def to_resources(self, rows: Iterable[Any], *, with_memberships: bool = True) -> list[Any]:
        """Convert rows to resources, with the same number of queries for any number of rows.

        `with_memberships` includes the memberships in groups. There can be thousands per resource.
        """

    @abstractmethod
    def save(self, row: Any, resource: Any, action: str) -> None: ...

    def read(self, pk: UUID) -> Any:
        return self.to_resources([find_object(self.rows(), pk)])[0]

    def lock_row(self, pk: UUID) -> Any:
        return find_object(self.rows(), pk, lock=True)

    def create(self, data: dict[str, Any]) -> Any:
        row = self.new_row()
        self.save(row, self.parse(data, Context.RESOURCE_CREATION_REQUEST), "create")
        return self.read(row.pk)

    def replace(self, pk: UUID, data: dict[str, Any]) -> Any:
        row = self.lock_row(pk)
        self.save(row, self.parse(data, Context.RESOURCE_REPLACEMENT_REQUEST), "replace")
        return self.read(pk)

    def patch(self, pk: UUID, data: dict[str, Any]) -> Any:
        row = self.lock_row(pk)
        with errors_as_problems():
            patch = scim.PatchOp[self.model].model_validate(  # type: ignore[name-defined]
                remove_own_id(data, str(pk)),
                scim_ctx=Context.RESOURCE_PATCH_REQUEST,
                scim_policy=POLICY,
            )
            resource = self.apply_patch(row, patch)
        self.save(row, resource, "patch")
        return self.read(pk)

    def apply_patch(self, row: Any, patch: Any) -> Any:
        resource = self.to_resources([row])[0]
        patch.patch(resource, scim_policy=POLICY)
        return resource

    @abstractmethod
    def remove(self, pk: UUID) -> None: ...

    def parse(self, data: dict[str, Any], context: Context) -> Any:
        if not data.get("schemas"):
            raise Problem(400, "The body has no schemas.", "invalidSyntax")
        with errors_as_problems():
            return self.model.model_validate(data, scim_ctx=context, scim_policy=POLICY)

    def meta(self, row: ScimUser | ScimGroup) -> scim.Meta:
        return scim.Meta(
            resource_type=self.name,
            created=row.created_at,
            last_modified=row.updated_at,
            location=location(self.name, row.pk),
        )


class UserStore(Store):
    name = "User"
    model = FullUser
    memberships_attribute = "groups"

    def rows(self) -> QuerySet[ScimUser]:
        return ScimUser.objects.for_org(self.org)

    def new_row(self) -> ScimUser:
        return ScimUser(org=self.org)

    def to_resources(self, rows: Iterable[ScimUser], *, with_memberships: bool = True) -> list[Any]:
        rows = list(rows)
        groups = self._groups(rows if with_memberships else [])
        return [self._to_resource(row, groups[row.pk]) for row in rows]

    def _groups(self, rows: list[ScimUser]) -> dict[UUID, list[dict[str, str]]]:
        groups: dict[UUID, list[dict[str, str]]] = defaultdict(list)
        memberships = ScimMembership.objects.for_org(self.org).filter(user__in=rows)
        columns = memberships.order_by("group__display_name", "id").values_list(
            "user_id", "group_id", "group__display_name"
        )
        for user_id, group_id, name in columns:
            reference = {"value": str(group_id), "$ref": location("Group", group_id)}
            groups[user_id].append({**reference, "display": name, "type": "direct"})
        return groups

    def _to_resource(self, row: ScimUser, groups: list[dict[str, str]]) -> Any:
        attributes = {"active": row.active, **row.claims}
        if not row.active:
            attributes["active"] = False
        for name, column in COLUMNS.items():
            attributes[name] = getattr(row, column) or None
        user = self.model.model_validate(
            {**attributes, "id": str(row.pk), "groups": groups or None}
        )
        user.meta = self.meta(row)
        return user

    def save(self, row: ScimUser, resource: Any, action: str) -> None:
        if resource.active is None and action != "patch":
            resource.active = True
        provisioning.save_user(
            org=self.org,
            by=self.by,
            row=row,
            fields=user_fields(resource),
            action=f"scim_user.{AUDIT_VERBS[action]}",
        )

    def remove(self, pk: UUID) -> None:
        provisioning.remove_user(org=self.org, by=self.by, row=self.lock_row(pk))


class GroupStore(Store):
    name = "Group"
    model = Group
    memberships_attribute = "members"

    def rows(self) -> QuerySet[ScimGroup]:
        return ScimGroup.objects.for_org(self.org)

    def new_row(self) -> ScimGroup:
        return ScimGroup(org=self.org)

    def to_resources(
        self, rows: Iterable[ScimGroup], *, with_memberships: bool = True
    ) -> list[Any]:
        rows = list(rows)
        members: dict[UUID, list[Member]] = defaultdict(list)
        queried_rows = rows if with_memberships else []
        memberships = ScimMembership.objects.for_org(self.org).filter(group__in=queried_rows)
        for group_id, user_id in memberships.order_by("id").values_list("group_id", "user_id"):
            members[group_id].append(member_reference(user_id))
        return [self._to_resource(row, members[row.pk]) for row in rows]

    def apply_patch(self, row: ScimGroup, patch: Any) -> Any:
        parts = group_patches.split_operations(patch.operations)
        old_members = provisioning.member_ids(self.org, row)
        if parts is None:
            group_patches.refuse_complex_patch(len(patch.operations), len(old_members))
            return super().apply_patch(row, patch)
        other_operations, member_changes = parts
        resource = self.to_resources([row], with_memberships=False)[0]
        patch.model_copy(update={"operations": other_operations}).patch(
            resource, scim_policy=POLICY
        )
        resource.members = [
            member_reference(pk)
            for pk in group_patches.apply_member_changes(old_members, member_changes)
        ]
        return resource

    def _to_resource(self, row: ScimGroup, members: list[Member]) -> Any:
        return self.model(
            id=str(row.pk),
            display_name=row.display_name,
            external_id=row.external_id or None,
            members=members or None,
            meta=self.meta(row),
        )

    def save(self, row: ScimGroup, resource: Any, action: str) -> None:
        fields = {
            "display_name": validate_text(resource.display_name, "displayName", required=True),
            "external_id": external_id(resource),
        }
        user_ids = [group_patches.member_id(member) for member in resource.members or []]
        provisioning.save_group(
            org=self.org,
            by=self.by,
            row=row,
            fields=fields,
            action=f"scim_group.{AUDIT_VERBS[action]}",
        )
        provisioning.set_members(org=self.org, by=self.by, group=row, user_ids=user_ids)

    def remove(self, pk: UUID) -> None:
        provisioning.remove_group(org=self.org, by=self.by, group=self.lock_row(pk))


def user_fields(user: Any) -> dict[str, Any]:
    """Return the columns of a user row for this resource. Raises a Problem for an invalid attribute."""
    attributes = user.model_dump()
    other_attributes = {
        name: attributes[name]
        for name in attributes
        if name not in {*READ_ONLY_ATTRIBUTES, *COLUMNS, "active"}
    }
    claims = names.clean_json_texts(other_attributes)
    if user.active is None:
        claims["active"] = None  # A patch removed the attribute. This does not deactivate the user.
    if len(dumps(claims)) > MAX_CLAIMS_SIZE:
        raise invalid_value(
            f"The attributes of a user may have at most {MAX_CLAIMS_SIZE // 1024} KiB in total."
        )
    return {
        "user_name": validate_text(user.user_name, "userName", required=True),
        "external_id": external_id(user),
        "display_name": validate_text(user.display_name, "displayName"),
        "active": user.active is not False,
        "email": user_address(user),
        "claims": claims,
    }


def user_address(user: Any) -> str:
    """Return the user's e-mail address: `userName` if it is one, else the primary or the first of `emails`."""
    emails = sorted(user.emails or [], key=lambda email: not email.primary)
    candidates = [user.user_name, *(email.value for email in emails)]
    return next((address for text in candidates if (address := parse_address(text or ""))), "")


def parse_address(text: str) -> str:
    """Return the address in lower case, or an empty text if it is not an ASCII address."""
    try:
        validate_email(text)
    except InvalidAddress:
        return ""
    return text.lower() if text.isascii() and len(text) <= 254 else ""


def validate_text(value: str | None, name: str, *, required: bool = False) -> str:
    """Return a valid text of one line, as `apps.auth.names` defines it. Raises a Problem if it is invalid."""
    try:
        valid_text = names.parse_name(value or "")
    except names.InvalidName as error:
        raise invalid_value(f"{name}: {error}") from None
    if len(valid_text) > MAX_LENGTHS[name]:
        raise invalid_value(f"{name} may have at most {MAX_LENGTHS[name]} characters.")
    if not valid_text and required:
        raise invalid_value(f"{name} is required, and it must contain visible characters.")
    return valid_text


def external_id(resource: Any) -> str:
    """Return the `externalId`, unchanged. Raises a Problem if it contains invisible characters or is too long."""
    value = str(resource.external_id or "")
    if len(value) > MAX_LENGTHS["externalId"]:
        raise invalid_value(f"externalId may have at most {MAX_LENGTHS['externalId']} characters.")
    validate_text(value, "externalId")
    return value


def member_reference(user_id: UUID) -> Member:
    return Member(value=str(user_id), ref=location("User", user_id), type="User")


def location(name: str, pk: UUID) -> str:
    return f"{settings.PUBLIC_URL}{BASE_PATH}/{name}s/{pk}"


def remove_own_id(data: dict[str, Any], own_id: str) -> dict[str, Any]:
    """Remove the resource's own id from the values of a patch. Okta sends it, but it changes nothing.

    Raises a Problem for too many operations.
    """
    operations = data.get("Operations")
    if not isinstance(operations, list):
        return data
    if len(operations) > MAX_OPERATIONS:
        raise invalid_value(f"A patch may have at most {MAX_OPERATIONS} operations.")
    return {**data, "Operations": [_remove_own_id(operation, own_id) for operation in operations]}


def _remove_own_id(operation: Any, own_id: str) -> Any:
    value = operation.get("value") if isinstance(operation, dict) else None
    if not isinstance(value, dict) or operation.get("path") or value.get("id") != own_id:
        return operation
    return {**operation, "value": {name: value[name] for name in value if name != "id"}}
