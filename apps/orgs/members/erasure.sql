-- Returns the orgs whose time of deletion has passed.
CREATE OR REPLACE FUNCTION orgs_to_erase() RETURNS TABLE (org_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT o.id FROM orgs_org o WHERE o.deletion_at <= now()
$$;

-- Deletes every row of this org, and then the org. Fails if its time of deletion has not passed. Besides
-- orgs_prune_audit, only this function can delete audit events.
CREATE OR REPLACE FUNCTION erase_org(wanted uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE owned text;
BEGIN
    PERFORM 1 FROM orgs_org o WHERE o.id = wanted AND o.deletion_at <= now() FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'this organization is not due to be erased';
    END IF;
    SET CONSTRAINTS ALL DEFERRED;
    DELETE FROM identity_user u USING orgs_membership m
        WHERE m.org_id = wanted AND u.id = m.user_id AND u.kind = 'service'
        AND NOT EXISTS (SELECT 1 FROM orgs_membership o WHERE o.user_id = u.id AND o.org_id <> wanted);
    FOR owned IN
        SELECT c.table_name FROM information_schema.columns c
        JOIN information_schema.tables t USING (table_schema, table_name)
        WHERE c.table_schema = 'public' AND c.column_name = 'org_id' AND t.table_type = 'BASE TABLE'
    LOOP
        EXECUTE format('DELETE FROM %I WHERE org_id = $1', owned) USING wanted;
    END LOOP;
    DELETE FROM orgs_org WHERE id = wanted;
END $$;
