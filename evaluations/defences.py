"""The defences of the agent. At least three attacks are written against each of them."""

from __future__ import annotations

from enum import StrEnum


class Defence(StrEnum):
    """What keeps an attack from reaching something, by the name in the table."""

    APPROVAL = "approval"  # a change waits until a person has approved it
    EXACT_CALL = "approval of one exact call"  # not of other arguments, and not of a second call
    CARD = "card of the server"  # the user sees what will happen, not what the model says
    ORG = "own organization"  # the org comes from the server: ids of other orgs are not found
    HOSTS = "hosts"  # only approved hosts are reached, by Drover and by code
    MARKED_DATA = "marked data"  # a document cannot leave its block
    CODE = "generated code"  # texts of a document become literals
    RECORD_VALUES = "hidden record values"
    SECRETS = "masked secrets"
    LINKS = "no foreign links"  # links and images of an answer are not shown
    STEPS = "limit of steps"
    SIZE = "limit of size"
    BUDGET = "budget of tokens"
