"""Migration operations for row-level security and composite keys, which keep the rows of orgs apart.

Every table with an `org_id` needs `protect`. Every reference between two such tables needs `same_org`. Guard tests read
the catalogue of the database, and fail if a table or a reference was forgotten.
"""

from __future__ import annotations

from django.db.migrations.operations import RunSQL

CREATE_FUNCTIONS = """
CREATE FUNCTION app_current_org() RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE value text := current_setting('app.current_org', true);
BEGIN
    IF value IS NULL OR value = '' THEN
        RAISE EXCEPTION 'no organization is in scope' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN value::uuid;
END $$;
CREATE FUNCTION app_org_or_null() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
    $$ SELECT NULLIF(current_setting('app.current_org', true), '')::uuid $$;
CREATE FUNCTION app_user_or_null() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
    $$ SELECT NULLIF(current_setting('app.current_user', true), '')::uuid $$;
"""


def functions() -> RunSQL:
    """Create the functions that policies call. `app_current_org` raises if no org is set, so that bugs are noticed."""
    return RunSQL(
        CREATE_FUNCTIONS,
        "DROP FUNCTION app_current_org(); DROP FUNCTION app_org_or_null(); DROP FUNCTION app_user_or_null();",
    )


def protect(table: str) -> RunSQL:
    """Add row-level security by org for the runtime role, a policy for operators, and the key for `same_org`."""
    return RunSQL(
        f"""
        ALTER TABLE {table} ADD CONSTRAINT {table}_org_key UNIQUE (org_id, id);
        ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
        CREATE POLICY org_isolation ON {table} TO app_user
            USING (org_id = (SELECT app_current_org())) WITH CHECK (org_id = (SELECT app_current_org()));
        CREATE POLICY operators ON {table} TO app_ops USING (true) WITH CHECK (true);
        """,
        f"""
        DROP POLICY operators ON {table}; DROP POLICY org_isolation ON {table};
        ALTER TABLE {table} DISABLE ROW LEVEL SECURITY; ALTER TABLE {table} DROP CONSTRAINT {table}_org_key;
        """,
    )


def same_org(table: str, column: str, target: str, *, on_delete: str = "NO ACTION") -> RunSQL:
    """Add a composite foreign key, so that a row cannot refer to a row of another org.

    `on_delete` is the action of the database. A nullable reference uses `SET NULL (column)`.
    """
    return RunSQL(
        f"""ALTER TABLE {table} ADD CONSTRAINT {table}_{column}_same_org FOREIGN KEY (org_id, {column})
            REFERENCES {target} (org_id, id) ON DELETE {on_delete} DEFERRABLE INITIALLY DEFERRED;""",
        f"ALTER TABLE {table} DROP CONSTRAINT {table}_{column}_same_org;",
    )


def append_only(table: str) -> RunSQL:
    """Allow the runtime role to add and read rows, but not to change or delete them."""
    return RunSQL(
        f"REVOKE UPDATE, DELETE ON {table} FROM app_user;",
        f"GRANT UPDATE, DELETE ON {table} TO app_user;",
    )
