"""The attributes of users and groups that Drover stores for a directory, as `/Schemas` declares them.

Importing `scim2_models` takes half a second, so only the first SCIM request imports this module.
"""

from __future__ import annotations

from typing import Annotated, Any

import scim2_models as scim
from pydantic import Field, model_validator
from scim2_models import (
    CaseExact,
    ComplexAttribute,
    Mutability,
    Reference,
    Required,
    Uniqueness,
)

MAX_TEXT_LENGTH = 1000  # characters per value
MAX_VALUES = 100  # values of one attribute of a user

# Accept requests of Okta and Entra ID that differ from the RFCs: undeclared attributes, `remove` with a value, and
# `add` with a filter that matches nothing.
POLICY = scim.ScimPolicy(
    unknown=scim.ScimPolicy.Unknown.ignore,
    remove_value_as_filter=scim.ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=scim.ScimPolicy.UnmatchedPathFilter.create,
)


class Email(scim.Email):
    value: str | None = None
    """Email address of the user, as the directory sent it."""


class Manager(ComplexAttribute):
    """The manager of the enterprise extension. Here `$ref` is optional, because directories do not send it."""

    value: Annotated[str | None, CaseExact.true] = None
    """The id of the SCIM resource representing the user's manager."""

    ref: Reference["User"] | None = Field(  # type: ignore[type-arg] # noqa: UP037 - the name of a resource, not a type
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    """The URI of the SCIM resource representing the user's manager."""

    @model_validator(mode="before")
    @classmethod
    def accept_plain_id(cls, value: Any) -> Any:
        """Accept a plain id, which Entra ID sends."""
        return {"value": value} if isinstance(value, str) else value


class EnterpriseUser(scim.Extension):
    """Enterprise user."""

    __schema__ = scim.EnterpriseUser.__schema__

    employee_number: str | None = None
    """Identifier assigned to the person by the organization."""

    cost_center: str | None = None
    """Name of a cost center."""

    organization: str | None = None
    """Name of an organization."""

    division: str | None = None
    """Name of a division."""

    department: str | None = None
    """Name of a department."""

    manager: Manager | None = None
    """The user's manager."""


class User(scim.Resource[scim.AnyExtension]):
    """A user provisioned by the directory."""

    __schema__ = scim.User.__schema__

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    """The directory's user name; often the e-mail address."""

    name: scim.Name | None = None
    """The components of the person's name."""

    display_name: str | None = None
    """Name of the person, suitable for display."""

    nick_name: str | None = None
    """Casual name of the person."""

    profile_url: Reference[scim.External] | None = None
    """URL of the person's profile."""

    title: str | None = None
    """Title of the person, such as "Vice President"."""

    user_type: str | None = None
    """Relationship between the organization and the person."""

    preferred_language: str | None = None
    """Preferred language of the person."""

    locale: str | None = None
    """Locale of the person."""

    timezone: str | None = None
    """Time zone of the person."""

    active: bool | None = None
    """Whether the person may have access; false removes access at once."""

    emails: list[Email] | None = None
    """Email addresses of the person."""

    phone_numbers: list[scim.PhoneNumber] | None = None
    """Phone numbers of the person."""

    ims: list[scim.Im] | None = None
    """Instant messaging addresses of the person."""

    photos: list[scim.Photo] | None = None
    """URLs of photos of the person."""

    addresses: list[scim.Address] | None = None
    """Postal addresses of the person."""

    groups: Annotated[list[scim.GroupMembership] | None, Mutability.read_only] = None
    """Groups the person is in."""

    entitlements: list[scim.Entitlement] | None = None
    """Entitlements of the person; they have no effect."""

    roles: list[scim.Role] | None = None
    """Roles of the person in the directory; they have no effect."""


class Member(ComplexAttribute):
    value: Annotated[str | None, Mutability.immutable, CaseExact.true] = None
    """Id of a user."""

    ref: Annotated[Reference["User"] | None, Mutability.immutable] = Field(  # type: ignore[type-arg] # noqa: UP037
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    """URI of the user."""

    type: Annotated[str | None, Mutability.immutable] = Field(None, examples=["User"])
    """Type of the member; nested groups are not supported."""


class Group(scim.Resource[Any]):
    """A group of the directory."""

    __schema__ = scim.Group.__schema__

    display_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    """Name of the group."""

    members: list[Member] | None = None
    """People in the group."""


FullUser = User[EnterpriseUser]
