-- Functions for workers that read the runs of all orgs, and return only ids and numbers. They run as app_owner, who can
-- read every row. The caller then works in the scope of each org. The search path is fixed, so that a caller cannot
-- replace their tables.

-- Counts the running runs of the whole platform.
CREATE OR REPLACE FUNCTION runs_running() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT count(*) FROM runs_run WHERE status = 'running'
$$;

-- Returns a row for each org with a run that may start now. Suspended orgs and orgs in deletion are left out. `run_id` is
-- the oldest due run, and `since` its creation time. `due` counts the due runs, `free` is the number of runs that the org
-- may still start, and `turn` is the time of its last claim. A skip scan of the index `runs_waiting` finds the orgs with
-- waiting runs, so the cost depends on the number of these orgs, not on the number of runs.
CREATE OR REPLACE FUNCTION runs_lines() RETURNS TABLE (org_id uuid, run_id uuid, due bigint, free bigint, turn timestamptz, since timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH RECURSIVE waiting(org) AS (
        (SELECT r.org_id FROM runs_run r WHERE r.status = 'pending' ORDER BY r.org_id LIMIT 1)
        UNION ALL
        SELECT (SELECT r.org_id FROM runs_run r WHERE r.status = 'pending' AND r.org_id > w.org
                ORDER BY r.org_id LIMIT 1)
        FROM waiting w WHERE w.org IS NOT NULL
    ), room AS (
        SELECT o.id AS org, o.max_running - (SELECT count(*) FROM runs_run r
            WHERE r.org_id = o.id AND r.status = 'running') AS free
        FROM waiting w JOIN orgs_org o ON o.id = w.org
        WHERE o.suspended_at IS NULL AND o.deletion_at IS NULL
    )
    SELECT room.org, head.id,
        (SELECT count(*) FROM (SELECT 1 FROM runs_run r WHERE r.org_id = room.org AND r.status = 'pending'
            AND (r.not_before IS NULL OR r.not_before <= now()) LIMIT greatest(room.free, 0)) few),
        room.free,
        (SELECT max(r.claimed_at) FROM runs_run r WHERE r.org_id = room.org),
        head.created_at
    FROM room CROSS JOIN LATERAL (
        SELECT r.id, r.created_at FROM runs_run r
        WHERE r.org_id = room.org AND r.status = 'pending' AND (r.not_before IS NULL OR r.not_before <= now())
        ORDER BY r.created_at, r.id LIMIT 1) head
    WHERE room.free > 0
$$;

-- Returns the next run by round robin: the oldest run of the org whose last claim is longest ago. Orgs in `passed_over`
-- are skipped, because another process has locked their rows.
CREATE OR REPLACE FUNCTION runs_next(platform integer, passed_over uuid[] DEFAULT '{}') RETURNS TABLE (org_id uuid, run_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT l.org_id, l.run_id FROM runs_lines() l
    WHERE runs_running() < platform AND l.org_id <> ALL (passed_over)
    ORDER BY l.turn NULLS FIRST, l.since, l.run_id LIMIT 1
$$;

-- Counts the waiting runs that could start now if there were enough workers.
CREATE OR REPLACE FUNCTION runs_startable(platform integer) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT greatest(least((SELECT coalesce(sum(least(l.due, l.free)), 0) FROM runs_lines() l),
                          platform - runs_running()), 0)::bigint
$$;

-- Returns the running runs of workers whose name starts with `host`.
CREATE OR REPLACE FUNCTION runs_held(host text) RETURNS TABLE (org_id uuid, run_id uuid, lease uuid, worker text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.org_id, r.id, r.lease, r.worker FROM runs_run r
    WHERE r.status = 'running' AND starts_with(r.worker, host)
$$;
