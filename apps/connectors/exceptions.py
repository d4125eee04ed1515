"""What can go wrong with connectors. The docstring is the message."""

from __future__ import annotations

from apps.orgs.exceptions import Conflict


class ConnectorNameTaken(Conflict):
    """Another connector of this role has that name."""

    code = "name_taken"


class ConnectorInUse(Conflict):
    """Pipelines use this connector; change or delete them first."""

    code = "in_use"


class NotASource(Conflict):
    """Only sources have streams; this connector is a destination."""

    code = "not_a_source"
