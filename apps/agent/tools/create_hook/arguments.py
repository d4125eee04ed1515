from typing import Literal
from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments
from apps.agent.tools.text_arguments import VisibleLine


class CreateHook(Arguments):
    pipeline_id: UUID = Field(description="The pipeline's id, from list_pipelines.")
    name: VisibleLine = Field(
        min_length=1,
        max_length=120,
        description="Which program calls it, such as Shop. No other hook of the pipeline has the name.",
    )
    credential: Literal["token", "signature"] = Field(
        "token",
        description="What a call is checked by: the secret in a header, or an HMAC-SHA256 that is made with it.",
    )
