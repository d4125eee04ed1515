from pydantic import Field

from apps.agent.sources.plan import SourcePlan
from apps.agent.tools.base import Arguments


class ProposeSourcePlan(Arguments):
    plan: SourcePlan = Field(description="The complete plan. The user may edit it.")
