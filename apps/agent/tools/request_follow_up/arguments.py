from typing import Literal
from uuid import UUID

from pydantic import Field, JsonValue

from apps.agent.tools.base import Arguments
from apps.agent.tools.text_arguments import Line


class RequestFollowUp(Arguments):
    pipeline_id: UUID = Field(description="The pipeline's id, from list_pipelines.")
    kind: Literal["webhook", "dbt_cloud"] = Field(
        description="A signed POST request to a URL, or a job of dbt Cloud."
    )
    name: Line = Field(
        "", max_length=120, description="A suggested name that no other call of the pipeline has."
    )
    after: Literal["success", "end"] = Field(
        "success",
        description="After each success, or after each end, also of runs that have failed or were cancelled.",
    )
    settings: dict[str, JsonValue] = Field(
        {},
        max_length=10,
        description="Only for dbt_cloud, what is known of url, account_id and job_id. The user fills in the rest.",
    )
