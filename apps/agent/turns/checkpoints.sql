-- Deletes the checkpoints of a conversation together with its row. It runs as app_owner, because the runtime role sees
-- the checkpoints of an existing conversation only.
CREATE OR REPLACE FUNCTION agent_delete_checkpoints() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM agent.checkpoint_writes WHERE thread_id = OLD.id::text;
    DELETE FROM agent.checkpoint_blobs WHERE thread_id = OLD.id::text;
    DELETE FROM agent.checkpoints WHERE thread_id = OLD.id::text;
    RETURN OLD;
END $$;
