-- Adds the increase of a run's counters to its org's month. The trigger `runs_usage` on runs_run calls it for every change
-- of the counters. It runs with the rights of the caller, in the scope of the org.
CREATE OR REPLACE FUNCTION runs_count_usage() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    more_rows bigint := greatest(NEW.records_written - OLD.records_written, 0);
    more_bytes bigint := greatest(NEW.bytes - OLD.bytes, 0);
    one_more integer := (NEW.status IN ('succeeded', 'failed', 'cancelled')
                         AND OLD.status IN ('pending', 'running'))::integer;
BEGIN
    IF more_rows > 0 OR more_bytes > 0 OR one_more > 0 THEN
        INSERT INTO runs_usage (id, org_id, month, rows, bytes, runs)
        VALUES (gen_random_uuid(), NEW.org_id, date_trunc('month', now() AT TIME ZONE 'UTC')::date,
                more_rows, more_bytes, one_more)
        ON CONFLICT (org_id, month) DO UPDATE SET
            rows = runs_usage.rows + excluded.rows,
            bytes = runs_usage.bytes + excluded.bytes,
            runs = runs_usage.runs + excluded.runs;
    END IF;
    RETURN NULL;
END $$;
