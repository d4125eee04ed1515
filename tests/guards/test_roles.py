"""Each role has exactly its permissions, and `print_roles` prints the same table."""

from __future__ import annotations

from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import call_command

from apps.orgs.principals import SYSTEM, Actor, Principal, operator_principal, person_principal
from apps.orgs.roles import DOMAIN_PERMISSIONS, RANK, ROLES_BY_PERMISSION, Permission, Role, allows

# A copy of the table in the design, so that an unintended change of roles.py fails a test.
OWNER_PERMISSIONS = {"org.delete", "org.transfer", "owners.manage"}
ADMIN_PERMISSIONS = {
    "org.update",
    "members.manage",
    "invitations.manage",
    "domains.manage",
    "api_keys.manage",
    "audit.view",
    "settings.edit",
}
MEMBER_PERMISSIONS = {
    "connectors.edit",
    "custom_sources.edit",
    "pipelines.edit",
    "pipelines.delete",
    "pipelines.run",
    "runs.cancel",
    "state.edit",
    "alerts.edit",
    "data.view",
    "agent.use",
    "api_keys.own",
}
VIEWER_PERMISSIONS = {"read"}
EXPECTED_PERMISSIONS = {
    Role.OWNER: OWNER_PERMISSIONS | ADMIN_PERMISSIONS | MEMBER_PERMISSIONS | VIEWER_PERMISSIONS,
    Role.ADMIN: ADMIN_PERMISSIONS | MEMBER_PERMISSIONS | VIEWER_PERMISSIONS,
    Role.MEMBER: MEMBER_PERMISSIONS | VIEWER_PERMISSIONS,
    Role.VIEWER: VIEWER_PERMISSIONS,
}


def principal(role: Role, **fields: object) -> Principal:
    return Principal(
        org_id=uuid4(),
        user_id=uuid4(),
        role=role,
        actor=Actor("user", uuid4(), "someone"),
        **fields,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("role", list(Role))
def test_each_role_has_exactly_the_permissions_of_the_design(role: Role) -> None:
    assert {p.value for p in Permission if allows(role, p)} == EXPECTED_PERMISSIONS[role]
    assert {p.value for p in Permission if principal(role).may(p)} == EXPECTED_PERMISSIONS[role]


@pytest.mark.parametrize(
    "privileged", [SYSTEM, operator_principal("op@example.com")], ids=["drover", "operator"]
)
def test_drover_and_operators_have_every_permission_in_every_domain(privileged: Principal) -> None:
    assert all(
        privileged.may(permission) and privileged.may(permission, domain_id=uuid4())
        for permission in Permission
    )


def test_a_person_without_a_membership_has_no_permission() -> None:
    assert not any(
        person_principal(uuid4(), "someone").may_somewhere(permission) for permission in Permission
    )


def test_the_printed_table_equals_the_enforced_table() -> None:
    out = StringIO()
    call_command("print_roles", stdout=out)
    lines = [line.split("|") for line in out.getvalue().splitlines() if line.startswith("| ")]
    column_names = [cell.strip() for cell in lines[0][2:-1]]
    assert column_names == [role.value for role in Role]
    printed = {
        (column, line[1].strip())
        for line in lines[1:]
        for column, cell in zip(column_names, line[2:-1], strict=True)
        if cell.strip() == "x"
    }
    assert printed == {
        (role.value, p.value) for p, roles in ROLES_BY_PERMISSION.items() for role in roles
    }


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("domain_role", [Role.MEMBER, Role.ADMIN])
def test_a_domain_role_can_only_add_permissions_and_only_in_its_domain(
    role: Role, domain_role: Role
) -> None:
    domain = uuid4()
    member = principal(role, domain_roles={domain: domain_role})
    for permission in Permission:
        higher_role = max(role, domain_role, key=RANK.__getitem__)
        role_inside = higher_role if permission in DOMAIN_PERMISSIONS else role
        assert member.may(permission, domain_id=domain) == allows(role_inside, permission)
        assert member.may(permission, domain_id=uuid4()) == allows(role, permission)
        assert member.may(permission) == allows(role, permission)


@pytest.mark.parametrize("role", list(Role))
def test_a_key_for_one_domain_can_only_read_elsewhere(role: Role) -> None:
    domain = uuid4()
    key = principal(role, only_domain=domain)
    for permission in Permission:
        allowed_elsewhere = key.may(permission, domain_id=uuid4()) or key.may(permission)
        assert allowed_elsewhere == (permission is Permission.READ)
        assert key.may(permission, domain_id=domain) == (
            permission in DOMAIN_PERMISSIONS and allows(role, permission)
        )
