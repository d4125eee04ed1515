-- Adds what the transcript of a turn, or a new document, needs in the database to the conversation's `stored_bytes`. Both
-- run with the rights of the caller, in the scope of the org.
CREATE OR REPLACE FUNCTION agent_count_transcript() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    more_bytes bigint := coalesce(pg_column_size(NEW.transcript), 0);
BEGIN
    IF TG_OP = 'UPDATE' THEN
        more_bytes := more_bytes - coalesce(pg_column_size(OLD.transcript), 0);
    END IF;
    UPDATE agent_conversation SET stored_bytes = stored_bytes + more_bytes WHERE id = NEW.conversation_id;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION agent_count_document() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE agent_conversation SET stored_bytes = stored_bytes + pg_column_size(NEW.text) WHERE id = NEW.conversation_id;
    RETURN NULL;
END $$;
