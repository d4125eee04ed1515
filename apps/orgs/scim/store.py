"""Users and groups of one org's directory as SCIM resources: read, write, patch and search.

A resource is created only from the org's own rows; `provisioning` applies the consequences of a change.
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
from apps.orgs.placement import one
from apps.orgs.principals import Principal
from apps.orgs.scim import group_patches, provisioning
from apps.orgs.scim.errors import BASE
from apps.orgs.scim.resources import POLICY, FullUser, Group, Member
from apps.web.problems import Problem
from apps.web.wire import dumps

CLAIMS_LIMIT = 64 * 1024  # bytes of JSON per user
OPERATION_LIMIT = 1000  # operations per PATCH
COLUMNS = {"userName": "user_name", "externalId": "external_id", "displayName": "display_name"}
LENGTHS = {"userName": 254, "externalId": 200, "displayName": 200}
VERBS = {"create": "create", "replace": "update", "patch": "update"}  # names in the audit log
SERVERS_OWN = {"schemas", "id", "meta", "groups"}  # attributes that the directory cannot set


@contextmanager
def refusing() -> Iterator[None]:
    """Convert errors of scim2_models to problems with SCIM's own keyword."""
    try:
        yield
    except ValidationError as error:
        raise problem_of(scim.Error.from_validation_errors(error)) from None
    except scim.SCIMException as error:
        inner = error.__cause__
        found = (
            scim.Error.from_validation_errors(inner) if isinstance(inner, ValidationError) else []
        )
        raise problem_of(found or [error.to_error()]) from None


def problem_of(errors: list[scim.Error]) -> Problem:
    first = errors[0]
    detail = " ".join(f"{error.detail}." for error in errors[:5])
    return Problem(
        first.status or 400, detail.replace("..", "."), first.scim_type or "invalidValue"
    )


def invalid(detail: str) -> Problem:
    return Problem(400, detail, "invalidValue")


class Store(ABC):
    """Shared by users and groups."""

    name: ClassVar[str]  # name of the resource type
    model: ClassVar[type[scim.Resource[Any]]]
    joined: ClassVar[str]  # the attribute with the memberships in groups

    def __init__(self, org: Org, by: Principal) -> None:
        self.org, self.by = org, by

    @abstractmethod
    def rows(self) -> QuerySet[Any]: ...

    @abstractmethod
    def new(self) -> Any: ...

    @abstractmethod
    def resources(self, rows: Iterable[Any], *, joined: bool = True) -> list[Any]:
        """Convert rows to resources, with the same number of queries for any number of rows.

        `joined` includes group memberships, which can be thousands per resource.
        """

    @abstractmethod
    def save(self, row: Any, said: Any, action: str) -> None: ...

    def read(self, pk: UUID) -> Any:
        return self.resources([one(self.rows(), pk)])[0]

    def locked(self, pk: UUID) -> Any:
        return one(self.rows(), pk, lock=True)

    def create(self, data: dict[str, Any]) -> Any:
        row = self.new()
        self.save(row, self.parsed(data, Context.RESOURCE_CREATION_REQUEST), "create")
        return self.read(row.pk)

    def replace(self, pk: UUID, data: dict[str, Any]) -> Any:
        row = self.locked(pk)
        self.save(row, self.parsed(data, Context.RESOURCE_REPLACEMENT_REQUEST), "replace")
        return self.read(pk)

    def patch(self, pk: UUID, data: dict[str, Any]) -> Any:
        row = self.locked(pk)
        with refusing():
            said = scim.PatchOp[self.model].model_validate(  # type: ignore[name-defined]
                without_own_id(data, str(pk)),
                scim_ctx=Context.RESOURCE_PATCH_REQUEST,
                scim_policy=POLICY,
            )
            resource = self.patched(row, said)
        self.save(row, resource, "patch")
        return self.read(pk)

    def patched(self, row: Any, said: Any) -> Any:
        resource = self.resources([row])[0]
        said.patch(resource, scim_policy=POLICY)
        return resource

    @abstractmethod
    def remove(self, pk: UUID) -> None: ...

    def parsed(self, data: dict[str, Any], context: Context) -> Any:
        if not data.get("schemas"):
            raise Problem(400, "The body has no schemas.", "invalidSyntax")
        with refusing():
            return self.model.model_validate(data, scim_ctx=context, scim_policy=POLICY)

    def meta(self, row: ScimUser | ScimGroup) -> scim.Meta:
        return scim.Meta(
            resource_type=self.name,
            created=row.created_at,
            last_modified=row.updated_at,
            location=location(self.name, row.pk),
        )


class People(Store):
    name = "User"
    model = FullUser
    joined = "groups"

    def rows(self) -> QuerySet[ScimUser]:
        return ScimUser.objects.for_org(self.org)

    def new(self) -> ScimUser:
        return ScimUser(org=self.org)

    def resources(self, rows: Iterable[ScimUser], *, joined: bool = True) -> list[Any]:
        rows = list(rows)
        groups = self._groups(rows if joined else [])
        return [self._resource(row, groups[row.pk]) for row in rows]

    def _groups(self, rows: list[ScimUser]) -> dict[UUID, list[dict[str, str]]]:
        found: dict[UUID, list[dict[str, str]]] = defaultdict(list)
        inside = ScimMembership.objects.for_org(self.org).filter(user__in=rows)
        named = inside.order_by("group__display_name", "id").values_list(
            "user_id", "group_id", "group__display_name"
        )
        for user_id, group_id, name in named:
            where = {"value": str(group_id), "$ref": location("Group", group_id)}
            found[user_id].append({**where, "display": name, "type": "direct"})
        return found

    def _resource(self, row: ScimUser, groups: list[dict[str, str]]) -> Any:
        said = {"active": row.active, **row.claims}
        if not row.active:
            said["active"] = False
        for name, column in COLUMNS.items():
            said[name] = getattr(row, column) or None
        user = self.model.model_validate({**said, "id": str(row.pk), "groups": groups or None})
        user.meta = self.meta(row)
        return user

    def save(self, row: ScimUser, said: Any, action: str) -> None:
        if said.active is None and action != "patch":
            said.active = True
        provisioning.save_user(
            org=self.org,
            by=self.by,
            row=row,
            fields=user_fields(said),
            action=f"scim_user.{VERBS[action]}",
        )

    def remove(self, pk: UUID) -> None:
        provisioning.remove_user(org=self.org, by=self.by, row=self.locked(pk))


class Groups(Store):
    name = "Group"
    model = Group
    joined = "members"

    def rows(self) -> QuerySet[ScimGroup]:
        return ScimGroup.objects.for_org(self.org)

    def new(self) -> ScimGroup:
        return ScimGroup(org=self.org)

    def resources(self, rows: Iterable[ScimGroup], *, joined: bool = True) -> list[Any]:
        rows = list(rows)
        members: dict[UUID, list[Member]] = defaultdict(list)
        of = rows if joined else []
        inside = ScimMembership.objects.for_org(self.org).filter(group__in=of)
        for group_id, user_id in inside.order_by("id").values_list("group_id", "user_id"):
            members[group_id].append(member(user_id))
        return [self._resource(row, members[row.pk]) for row in rows]

    def patched(self, row: ScimGroup, said: Any) -> Any:
        plain = group_patches.divided(said.operations)
        before = provisioning.people_of(self.org, row)
        if plain is None:
            group_patches.refuse_too_much(len(said.operations), len(before))
            return super().patched(row, said)
        others, changes = plain
        resource = self.resources([row], joined=False)[0]
        said.model_copy(update={"operations": others}).patch(resource, scim_policy=POLICY)
        resource.members = [member(pk) for pk in group_patches.people_after(before, changes)]
        return resource

    def _resource(self, row: ScimGroup, members: list[Member]) -> Any:
        return self.model(
            id=str(row.pk),
            display_name=row.display_name,
            external_id=row.external_id or None,
            members=members or None,
            meta=self.meta(row),
        )

    def save(self, row: ScimGroup, said: Any, action: str) -> None:
        fields = {
            "display_name": text(said.display_name, "displayName", required=True),
            "external_id": external_id(said),
        }
        wanted = [group_patches.member_id(each) for each in said.members or []]
        provisioning.save_group(
            org=self.org, by=self.by, row=row, fields=fields, action=f"scim_group.{VERBS[action]}"
        )
        provisioning.set_people(org=self.org, by=self.by, group=row, wanted=wanted)

    def remove(self, pk: UUID) -> None:
        provisioning.remove_group(org=self.org, by=self.by, group=self.locked(pk))


def user_fields(user: Any) -> dict[str, Any]:
    """Return the columns of a user for the directory's current attributes."""
    said = user.model_dump()
    others = {name: said[name] for name in said if name not in {*SERVERS_OWN, *COLUMNS, "active"}}
    claims = names.cleaned_json(others)
    if user.active is None:
        claims["active"] = None  # A patch removed the attribute, which deactivates nobody.
    if len(dumps(claims)) > CLAIMS_LIMIT:
        raise invalid(f"The attributes of a user may take {CLAIMS_LIMIT // 1024} KiB together.")
    return {
        "user_name": text(user.user_name, "userName", required=True),
        "external_id": external_id(user),
        "display_name": text(user.display_name, "displayName"),
        "active": user.active is not False,
        "email": address_of(user),
        "claims": claims,
    }


def address_of(user: Any) -> str:
    """Return the user's address: `userName` if it is an address, else the primary or first of `emails`."""
    emails = sorted(user.emails or [], key=lambda email: not email.primary)
    candidates = [user.user_name, *(email.value for email in emails)]
    return next((found for text in candidates if (found := as_address(text or ""))), "")


def as_address(text: str) -> str:
    """Return the address in lower case; empty if it is not an ASCII address."""
    try:
        validate_email(text)
    except InvalidAddress:
        return ""
    return text.lower() if text.isascii() and len(text) <= 254 else ""


def text(value: str | None, name: str, *, required: bool = False) -> str:
    """Validate a text for its column and for display on one line, as `names` does."""
    try:
        found = names.read(value or "")
    except names.InvalidName as error:
        raise invalid(f"{name}: {error}") from None
    if len(found) > LENGTHS[name]:
        raise invalid(f"{name} may have {LENGTHS[name]} characters.")
    if not found and required:
        raise invalid(f"{name} is required, and it must contain visible characters.")
    return found


def external_id(said: Any) -> str:
    """Validate the directory's own key. It is stored exactly, but must not contain invisible characters."""
    found = str(said.external_id or "")
    if len(found) > LENGTHS["externalId"]:
        raise invalid(f"externalId may have {LENGTHS['externalId']} characters.")
    text(found, "externalId")
    return found


def member(user_id: UUID) -> Member:
    return Member(value=str(user_id), ref=location("User", user_id), type="User")


def location(name: str, pk: UUID) -> str:
    return f"{settings.PUBLIC_URL.rstrip('/')}{BASE}/{name}s/{pk}"


def without_own_id(data: dict[str, Any], own: str) -> dict[str, Any]:
    """Okta repeats the resource's id in the value of a patch; only another id would be a change."""
    operations = data.get("Operations")
    if not isinstance(operations, list):
        return data
    if len(operations) > OPERATION_LIMIT:
        raise invalid(f"A patch takes at most {OPERATION_LIMIT} operations.")
    return {**data, "Operations": [_without_own_id(each, own) for each in operations]}


def _without_own_id(operation: Any, own: str) -> Any:
    value = operation.get("value") if isinstance(operation, dict) else None
    if not isinstance(value, dict) or operation.get("path") or value.get("id") != own:
        return operation
    return {**operation, "value": {name: value[name] for name in value if name != "id"}}
