"""The exceptions of connectors. The docstring is the message."""

from __future__ import annotations

from apps.orgs.exceptions import Conflict, PermissionMissing
from apps.orgs.roles import Permission


class ConnectorNameTaken(Conflict):
    """Another connector of this role has this name."""

    code = "name_taken"


class ConnectorInUse(Conflict):
    """Pipelines use this connector; change or delete them first."""

    code = "in_use"


class NotASource(Conflict):
    """Only sources have streams; this connector is a destination."""

    code = "not_a_source"


class CustomSourceNameTaken(Conflict):
    """Another custom source has this name."""

    code = "name_taken"


class CustomSourceInUse(Conflict):
    """Connectors or pipelines use this custom source; change or delete them first."""

    code = "in_use"


class ComesFromRepository(Conflict):
    """The code of this source comes from a Git repository: change it there."""

    code = "from_repository"


class RepositoryConnected(Conflict):
    """This folder of this branch is connected already."""

    code = "connected"


class FileNameTaken(Conflict):
    """Another file has this name: replace that file, or use another name. Upper and lower case count as the same."""

    code = "name_taken"


class FileBusy(Conflict):
    """Another upload or deletion of this file is just being completed: try again in a moment."""

    code = "busy"


class FileInUse(Conflict):
    """Connectors or pipelines read this file by its name; change or delete them first."""

    code = "in_use"


class UploadEnded(Conflict):
    """This upload took too long to be stored and was given up: send the file again."""

    code = "upload_ended"


class FileLimitReached(Conflict):
    """The organization has reached its limit for uploaded files."""

    code = "limit_reached"


class AnyHostNeedsAdmin(PermissionMissing):
    """Only an admin can approve code that may connect to any host (*): name the hosts it needs, or ask an admin."""

    def __init__(self) -> None:
        super().__init__(Permission.SETTINGS_EDIT)

    def __str__(self) -> str:
        return f"{self.__doc__} This needs the permission {self.permission.value}."
