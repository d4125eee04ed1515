"""Which uploaded files settings may name."""

from __future__ import annotations

from apps.connectors.catalogue import Kind
from apps.connectors.configuration import StoredSettings
from apps.connectors.models import ConnectorRole
from apps.connectors.schemas import Error, join_path
from apps.engine.file_patterns import is_address
from apps.orgs.principals import Principal

HIDDEN = (
    "An API key that is limited to a domain does not see the organization's files. Enter the web address of a file, or"
    " use a connector that somebody has saved."
)


def hidden_file_errors(
    by: Principal, kind: Kind, settings: StoredSettings, previous: StoredSettings, path: str
) -> list[Error]:
    """Return an error of the setting `path` below the field `path` if it names files that the principal does not see.

    A path that was stored before stays: somebody who sees the files has chosen it.
    """
    files = settings.visible.get("path")
    if by.only_domain is None or (kind.role, kind.name) != (ConnectorRole.SOURCE, "files"):
        return []
    if not isinstance(files, str) or is_address(files) or files == previous.visible.get("path"):
        return []
    return [(join_path(path, "path"), HIDDEN, "forbidden")]
