"""The exceptions of orgs. `apps.orgs.problems` maps them to HTTP responses. Many docstrings are messages for users."""

from __future__ import annotations

from typing import Any

from apps.orgs.roles import Permission


class PermissionMissing(Exception):
    """Your role does not allow this."""

    def __init__(self, permission: Permission) -> None:
        super().__init__(f"This needs the permission {permission.value}.")
        self.permission = permission


class NotFound(Exception):
    """There is no such object here."""


class NoOrganization(Exception):
    """You do not belong to any organization: ask for an invitation."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class SessionNeeded(Exception):
    """This requires a login session: an API key cannot do it."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class SessionLimited(Exception):
    """This session is limited to one organization: log in another way to manage your account."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class OrgAccessDenied(Exception):
    """A rule of the organization denies this member access; `code` is the rule's name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class OrgReadOnly(Exception):
    """Nothing can be changed in this organization now; `code` is the reason."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class CheckFirst(Exception):
    """A slow check must run outside every transaction before an action can continue.

    An action raises this before it changes anything. The caller ends the transaction, calls `check`, and calls the
    action again with the result. The action then does all its work from the start, with the current data.
    """

    def check(self) -> Any:
        """Run the check. Returns the value for the action's argument `checked`."""
        raise NotImplementedError


class ChangedMeanwhile(Exception):
    """The object has changed since you read it: reload it."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class Conflict(Exception):
    """The request conflicts with the current state."""

    code = "conflict"

    def __init__(self, message: str = "", **context: object) -> None:
        super().__init__(message or (type(self).__doc__ or ""))
        self.context = context


class Disabled(Exception):
    """This is disabled."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.__doc__)


class LastOwner(Conflict):
    """An organization needs an owner: make another member an owner first."""

    code = "last_owner"


class DeletionBegun(Conflict):
    """It is too late to cancel the deletion: the organization is being erased."""

    code = "deletion_begun"


class NameTaken(Conflict):
    """That name is already used here."""

    code = "name_taken"


class AlreadyMember(Conflict):
    """This address already belongs to a member."""

    code = "already_member"


class AlreadyInvited(Conflict):
    """This address is already invited: resend the invitation instead."""

    code = "already_invited"


class LimitReached(Conflict):
    """A limit of the organization is reached."""

    code = "limit_reached"

    def __init__(self, what: str, limit: int) -> None:
        message = f"The organization's limit of {limit} {what} is reached: an admin can raise it."
        super().__init__(message, what=what, limit=limit)


class InvitationForOtherAddress(Exception):
    """This invitation is for another address: log in with that address, or ask for an invitation to yours."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class SecretUnreadable(Exception):
    """The stored secret cannot be decrypted with the keys of this installation."""


class Invalid(Exception):
    """The request is valid JSON, but its content is invalid. `errors` are (field path, message, code)."""

    def __init__(self, errors: list[tuple[str, str, str]]) -> None:
        super().__init__("; ".join(f"{field}: {message}" for field, message, _ in errors))
        self.errors = errors


class WrongPassword(Invalid):
    """The password that confirms an action of a logged-in user is wrong."""

    def __init__(self, message: str) -> None:
        super().__init__([("current_password", message, "invalid")])
