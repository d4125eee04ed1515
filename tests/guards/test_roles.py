"""The table of roles: the printed permissions are the enforced ones."""

from __future__ import annotations

from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import call_command

from apps.orgs.principals import SYSTEM, Actor, Principal, operator, person
from apps.orgs.roles import DOMAIN_PERMISSIONS, RANK, TABLE, Permission, Role, allows

# The table of the design, written out again, so that a change of roles.py must be intended.
OWNER_ONLY = {"org.delete", "org.transfer", "owners.manage"}
ADMIN = {
    "org.update",
    "members.manage",
    "invitations.manage",
    "domains.manage",
    "api_keys.manage",
    "audit.view",
    "settings.edit",
}
MEMBER = {
    "connectors.edit",
    "custom_sources.edit",
    "pipelines.edit",
    "pipelines.delete",
    "pipelines.run",
    "runs.cancel",
    "state.edit",
    "alerts.edit",
    "agent.use",
    "api_keys.own",
}
VIEWER = {"read"}
EXPECTED = {
    Role.OWNER: OWNER_ONLY | ADMIN | MEMBER | VIEWER,
    Role.ADMIN: ADMIN | MEMBER | VIEWER,
    Role.MEMBER: MEMBER | VIEWER,
    Role.VIEWER: VIEWER,
}


def principal(role: Role, **more: object) -> Principal:
    return Principal(
        org_id=uuid4(),
        user_id=uuid4(),
        role=role,
        actor=Actor("user", uuid4(), "someone"),
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("role", list(Role))
def test_each_role_may_exactly_what_the_design_says(role: Role) -> None:
    assert {p.value for p in Permission if allows(role, p)} == EXPECTED[role]
    assert {p.value for p in Permission if principal(role).may(p)} == EXPECTED[role]


@pytest.mark.parametrize("who", [SYSTEM, operator("op@example.com")], ids=["drover", "operator"])
def test_drover_itself_and_operators_may_everything_everywhere(who: Principal) -> None:
    assert all(who.may(each) and who.may(each, domain_id=uuid4()) for each in Permission)


def test_a_person_outside_their_membership_may_nothing() -> None:
    assert not any(person(uuid4(), "someone").may_somewhere(each) for each in Permission)


def test_the_printed_table_is_the_enforced_one() -> None:
    out = StringIO()
    call_command("print_roles", stdout=out)
    lines = [line.split("|") for line in out.getvalue().splitlines() if line.startswith("| ")]
    heads = [cell.strip() for cell in lines[0][2:-1]]
    assert heads == [role.value for role in Role]
    printed = {
        (head, line[1].strip())
        for line in lines[1:]
        for head, cell in zip(heads, line[2:-1], strict=True)
        if cell.strip() == "x"
    }
    assert printed == {(role.value, p.value) for p, roles in TABLE.items() for role in roles}


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("raised", [Role.MEMBER, Role.ADMIN])
def test_an_override_raises_in_its_domain_and_never_lowers(role: Role, raised: Role) -> None:
    domain = uuid4()
    who = principal(role, domain_roles={domain: raised})
    for permission in Permission:
        effective = max(role, raised, key=RANK.__getitem__)
        inside = effective if permission in DOMAIN_PERMISSIONS else role
        assert who.may(permission, domain_id=domain) == allows(inside, permission)
        assert who.may(permission, domain_id=uuid4()) == allows(role, permission)
        assert who.may(permission) == allows(role, permission)


@pytest.mark.parametrize("role", list(Role))
def test_a_key_for_one_domain_changes_nothing_elsewhere(role: Role) -> None:
    domain = uuid4()
    key = principal(role, only_domain=domain)
    for permission in Permission:
        elsewhere = key.may(permission, domain_id=uuid4()) or key.may(permission)
        assert elsewhere == (permission is Permission.READ)
        assert key.may(permission, domain_id=domain) == (
            permission in DOMAIN_PERMISSIONS and allows(role, permission)
        )
