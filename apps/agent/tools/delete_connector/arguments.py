from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments


class DeleteConnector(Arguments):
    connector_id: UUID = Field(description="The connector's id, from list_connectors.")
