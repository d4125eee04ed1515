"""Decide whether a new table may replace an old one, and copy the old one's grants."""

from __future__ import annotations

from psycopg import sql

from apps.engine.destinations.postgres.tables import Table
from apps.engine.postgres import Cursor

ALONE = """
SELECT c.relkind = 'r' AND c.relpersistence = 'p' AND NOT c.relrowsecurity
   AND c.relreplident = 'd' AND c.reloptions IS NULL
   AND c.relowner = (SELECT oid FROM pg_roles WHERE rolname = current_user)
   AND NOT EXISTS (SELECT FROM pg_depend d  -- indexes, views, triggers, policies, foreign keys, ...
                   WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
                     AND d.deptype <> 'i')
   AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)
   AND NOT EXISTS (SELECT FROM pg_description d
                   WHERE d.classoid = 'pg_class'::regclass AND d.objoid = c.oid)
   AND NOT EXISTS (SELECT FROM pg_attribute a
                   WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL)
FROM pg_class c WHERE c.oid = %s::oid"""

GRANTS = """
SELECT CASE WHEN x.grantee = 0 THEN NULL ELSE pg_get_userbyid(x.grantee) END,
       x.privilege_type, x.is_grantable
FROM pg_class c, aclexplode(c.relacl) x
WHERE c.oid = %s::oid AND x.grantee <> c.relowner"""


def stands_alone(cursor: Cursor, oid: int) -> bool:
    """Whether the table can be dropped and replaced without losing anything else."""
    row = cursor.execute(ALONE, (oid,)).fetchone()
    return row is not None and bool(row[0])


def keep_grants(cursor: Cursor, old: int, new: Table) -> None:
    """Give the new table exactly the grants of the old one, if the old one has any."""
    grants = cursor.execute(GRANTS, (old,)).fetchall()
    if not grants:
        return
    for grantee in {row[0] for row in cursor.execute(GRANTS, (new.oid,)).fetchall()}:
        cursor.execute(
            sql.SQL("REVOKE ALL ON {} FROM {}").format(new.name.quoted(), _role(grantee))
        )
    for grantee, privilege, grantable in grants:
        command = "GRANT {} ON {} TO {} WITH GRANT OPTION" if grantable else "GRANT {} ON {} TO {}"
        cursor.execute(
            sql.SQL(command).format(sql.SQL(privilege), new.name.quoted(), _role(grantee))
        )


def _role(name: str | None) -> sql.Composable:
    return sql.SQL("PUBLIC") if name is None else sql.Identifier(name)
