"""What a user can do about a failed step of a connection check.

The message of the step says what happened; these texts say where to look. A kind of connector that is not listed has the
general text.
"""

from __future__ import annotations

from apps.engine.answers import CheckAnswer, Step

STEPS: dict[str, str] = {
    "resolve": "Check the host for typing errors. If it is a name of a private network, ask the operator of Drover whether it can "
    "be resolved and reached from there.",
    "connect": "Check the host and the port, and whether a firewall lets Drover through.",
    "authenticate": "Check the user name and the password or key, and whether they may be used from Drover's address.",
    "read": "Allow this user to read the data, or correct the settings that name it, such as the path or the schema.",
    "write": "Allow this user to write there, or choose another place.",
    "find": "Upload the file, or correct its name, pattern or address.",
    "format": "Set the format yourself instead of having it detected, or correct the file.",
    "lock": "Another program has the file open. Close it there, or choose another file.",
    "isolate": "Ask the operator of Drover: the sandbox for code does not work on this machine.",
    "configuration": "Correct the settings that the message names.",
    "timeout": "Check whether the system answers, then test again. A slow one may need larger timeouts in its settings.",
    "memory": "Request smaller pages or files in the settings.",
}
GENERAL = "Correct the settings that the message is about, then test again."


def with_next_steps(answer: CheckAnswer) -> CheckAnswer:
    """Return the answer with what to do about its failed step."""
    steps: list[Step] = [{**step, "next_step": _next_step(step)} for step in answer["steps"]]
    return {**answer, "steps": steps}


def _next_step(step: Step) -> str | None:
    return None if step["ok"] else STEPS.get(step["step"], GENERAL)
