-- Deletes conversations that nobody has used since `before`, except those with a turn that is being worked on. Their
-- turns, events and checkpoints are deleted with them. It runs as app_owner, who can read every row.
CREATE OR REPLACE FUNCTION agent_remove_old_conversations(before timestamptz, most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH old AS (
        SELECT c.id FROM agent_conversation c
        WHERE c.updated_at < before AND NOT EXISTS (
            SELECT 1 FROM agent_turn t
            WHERE t.conversation_id = c.id AND t.status IN ('pending', 'running'))
        LIMIT most
    ), gone AS (DELETE FROM agent_conversation c USING old WHERE c.id = old.id RETURNING 1)
    SELECT count(*) FROM gone
$$;
