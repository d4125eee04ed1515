from pydantic import Field

from apps.agent.tools.base import Arguments


class ValidateSourceCode(Arguments):
    code: str = Field(min_length=1, max_length=150_000, description="The complete Python code.")
