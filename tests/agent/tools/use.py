"""Use a tool for a member, as a turn does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

from django.db import transaction

from apps.agent.tools import registry
from apps.agent.tools.base import Answer, SlowAnswer, ToolContext
from apps.agent.turns import answers
from apps.json import JsonObject
from apps.orgs import credentials
from apps.orgs.exceptions import CheckFirst
from apps.orgs.principals import Actor
from apps.orgs.roles import Role
from tests.world import World


def context_of(
    world: World, role: Role = Role.MEMBER, *, values_allowed: bool = False
) -> ToolContext:
    """Return the context of a conversation of the member with this role."""
    org, member = credentials.load_member(
        org_id=world.org.pk, user_id=world.users[role].pk, ip=None
    )
    agent = Actor("agent", uuid4(), "agent")
    return ToolContext(
        org=org,
        by=member.acting_through(agent),
        conversation_id=uuid4(),
        turn_id=uuid4(),
        values_allowed=values_allowed,
    )


def use(
    world: World,
    name: str,
    role: Role = Role.MEMBER,
    /,
    *,
    values_allowed: bool = False,
    **arguments: Any,
) -> Answer:
    """Return the tool's answer, or the answer for what it raises. Every answer can become JSON."""
    tool = registry.find(name)
    assert tool is not None, name
    try:
        with world.scope(), transaction.atomic():
            context = context_of(world, role, values_allowed=values_allowed)
            outcome = tool.perform(context, tool.parse(arguments))
        if isinstance(outcome, SlowAnswer):
            result = outcome.call.run()
            with world.scope():
                outcome = outcome.render(outcome.call.finish(context.by, result))
    except Exception as error:
        outcome = answers.from_exception(error, tool=name, arguments=arguments)
    assert isinstance(outcome, Answer)
    assert answers.text_for_model(outcome)
    return outcome


def card(world: World, name: str, role: Role = Role.MEMBER, /, **arguments: Any) -> JsonObject:
    """Return the card of the approval. Raises what the action raises, after the check that it asks for."""
    tool = registry.find(name)
    assert tool is not None, name
    checked: Any = None
    while True:
        try:
            with world.scope():
                context = replace(context_of(world, role), checked=checked)
                return tool.make_card(context, tool.parse(arguments))
        except CheckFirst as needed:
            assert checked is None, "the action asks for a check twice"
            checked = needed.check()


def error_code(answer: Answer) -> str:
    """Return the code of a failed answer, or an empty text."""
    return "" if answer.ok else str(answer.content["error"]["code"])
