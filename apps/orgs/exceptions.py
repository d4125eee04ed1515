"""What can go wrong in orgs. The docstring is the message; `apps.orgs.problems` says what each becomes over HTTP."""

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
    """You belong to no organization at present: ask for an invitation."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class SessionNeeded(Exception):
    """An API key cannot do this: log in."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class SessionLimited(Exception):
    """You logged in through one organization's identity provider: for your account, log in another way."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class OrgClosed(Exception):
    """A rule of the organization keeps this member out; `code` is the rule's name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class OrgReadOnly(Exception):
    """Nothing can be changed in this organization now; `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class CheckFirst(Exception):
    """Something must be checked outside every transaction before this can be done.

    A verb raises it before it changes anything. Its caller leaves the transaction, calls `check`, and calls the verb
    again with the answer; the verb then does all its work anew, on what is stored by then.
    """

    def check(self) -> Any:
        """Wait for the check. Answers what the verb takes as `checked`."""
        raise NotImplementedError


class ChangedMeanwhile(Exception):
    """The object changed since you read it; read it again."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class Conflict(Exception):
    """The request does not fit the present state."""

    code = "conflict"

    def __init__(self, message: str = "", **context: object) -> None:
        super().__init__(message or (type(self).__doc__ or ""))
        self.context = context


class Disabled(Exception):
    """This is switched off."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class LastOwner(Conflict):
    """An organization needs an owner: make someone else an owner first."""

    code = "last_owner"


class DeletionBegun(Conflict):
    """The time to call the deletion off is over: the organization is being erased."""

    code = "deletion_begun"


class NameTaken(Conflict):
    """That name is already used here."""

    code = "name_taken"


class AlreadyMember(Conflict):
    """This address belongs to a member already."""

    code = "already_member"


class AlreadyInvited(Conflict):
    """This address is invited already: send the invitation again instead."""

    code = "already_invited"


class LimitReached(Conflict):
    """A limit of the organization is reached."""

    code = "limit_reached"

    def __init__(self, what: str, limit: int) -> None:
        message = f"The organization's limit of {limit} {what} is reached: an admin can raise it."
        super().__init__(message, what=what, limit=limit)


class OtherAddress(Exception):
    """This invitation is for another address: log in with that one, or ask to be invited with yours."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class Unreadable(Exception):
    """The stored secret cannot be opened with the keys this installation has."""


class Invalid(Exception):
    """Valid JSON with invalid content; `errors` are (field path, message, code)."""

    def __init__(self, errors: list[tuple[str, str, str]]) -> None:
        super().__init__("; ".join(f"{field}: {message}" for field, message, _ in errors))
        self.errors = errors


class WrongPassword(Invalid):
    """The password of somebody who is logged in, asked for again, is wrong."""

    def __init__(self, message: str) -> None:
        super().__init__([("current_password", message, "invalid")])
