from pydantic import Field

from apps.agent.tools.base import Arguments


class Ask(Arguments):
    question: str = Field(min_length=1, max_length=500, description="One question for the user.")
    choices: list[str] = Field(
        [],
        max_length=8,
        description="Possible answers, shown as buttons. The user may answer freely.",
    )
