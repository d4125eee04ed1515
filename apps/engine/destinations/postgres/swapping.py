"""Decide whether a new table may replace an old table, and copy the old table's grants."""

from __future__ import annotations

from psycopg import sql

from apps.engine.destinations.postgres.properties import CopiedProperties
from apps.engine.destinations.postgres.tables import Table
from apps.engine.postgres import Cursor

SELECT_CAN_BE_REPLACED = """
SELECT c.relkind = 'r' AND c.relpersistence = 'p' AND NOT c.relrowsecurity
   AND c.relreplident = 'd' AND c.reloptions IS NULL
   AND c.relowner = (SELECT oid FROM pg_roles WHERE rolname = current_user)
   AND NOT EXISTS (SELECT FROM pg_depend d  -- indexes, views, triggers, policies, foreign keys, ...
                   WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
                     AND d.deptype <> 'i'
                     AND NOT (%(not_null)s AND d.classid = 'pg_constraint'::regclass AND d.objid IN
                              (SELECT oid FROM pg_constraint WHERE conrelid = c.oid AND contype = 'n')))
   AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)
   AND NOT EXISTS (SELECT FROM pg_description d
                   WHERE NOT %(comments)s AND d.classoid = 'pg_class'::regclass AND d.objoid = c.oid)
   AND NOT EXISTS (SELECT FROM pg_attribute a
                   WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL)
FROM pg_class c WHERE c.oid = %(oid)s::oid"""

SELECT_GRANTS = """
SELECT CASE WHEN x.grantee = 0 THEN NULL ELSE pg_get_userbyid(x.grantee) END,
       x.privilege_type, x.is_grantable
FROM pg_class c, aclexplode(c.relacl) x
WHERE c.oid = %s::oid AND x.grantee <> c.relowner"""


def can_be_replaced(cursor: Cursor, oid: int, copies: CopiedProperties) -> bool:
    """Return whether the table has no indexes, triggers or other properties that a new table would lack.

    Properties that are copied from the source are replaced too.
    """
    parameters = {"oid": oid, "comments": copies.comments, "not_null": copies.not_null}
    row = cursor.execute(SELECT_CAN_BE_REPLACED, parameters).fetchone()
    return row is not None and bool(row[0])


def copy_grants(cursor: Cursor, old_oid: int, new_table: Table) -> None:
    """Give the new table exactly the grants of the old table, if the old table has any."""
    grants = cursor.execute(SELECT_GRANTS, (old_oid,)).fetchall()
    if not grants:
        return
    for grantee in {row[0] for row in cursor.execute(SELECT_GRANTS, (new_table.oid,)).fetchall()}:
        cursor.execute(
            sql.SQL("REVOKE ALL ON {} FROM {}").format(
                new_table.name.identifier(), _role_identifier(grantee)
            )
        )
    for grantee, privilege, grantable in grants:
        command = "GRANT {} ON {} TO {} WITH GRANT OPTION" if grantable else "GRANT {} ON {} TO {}"
        cursor.execute(
            sql.SQL(command).format(
                sql.SQL(privilege), new_table.name.identifier(), _role_identifier(grantee)
            )
        )


def _role_identifier(name: str | None) -> sql.Composable:
    return sql.SQL("PUBLIC") if name is None else sql.Identifier(name)
