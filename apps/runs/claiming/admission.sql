-- Functions that read the runs of all orgs for workers, and answer ids and numbers only. They belong to app_owner,
-- who sees every row; the caller then works inside the scope of each org. The search path is pinned, so that a caller
-- cannot redirect them.

-- Runs at work on the whole platform.
CREATE OR REPLACE FUNCTION runs_running() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT count(*) FROM runs_run WHERE status = 'running'
$$;

-- For each open org with runs that may start: how many are due, how many more it may have, when it last had a
-- turn, and the oldest run that is due and since when. The org that waits is found by a skip scan of the index
-- `runs_waiting`, so the cost depends on the number of orgs that wait, not on the number of runs.
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

-- Round robin: the org whose last turn is longest ago, and its oldest run. Orgs in `passed_over` have no turn,
-- because somebody else holds their rows at the moment.
CREATE OR REPLACE FUNCTION runs_next(platform integer, passed_over uuid[] DEFAULT '{}') RETURNS TABLE (org_id uuid, run_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT l.org_id, l.run_id FROM runs_lines() l
    WHERE runs_running() < platform AND l.org_id <> ALL (passed_over)
    ORDER BY l.turn NULLS FIRST, l.since, l.run_id LIMIT 1
$$;

-- How many of the runs that wait could start now, if there were enough workers.
CREATE OR REPLACE FUNCTION runs_startable(platform integer) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT greatest(least((SELECT coalesce(sum(least(l.due, l.free)), 0) FROM runs_lines() l),
                          platform - runs_running()), 0)::bigint
$$;

-- Runs that a worker process on this host holds, found by its name: its successor on the same host frees them.
CREATE OR REPLACE FUNCTION runs_held(host text) RETURNS TABLE (org_id uuid, run_id uuid, lease uuid, worker text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.org_id, r.id, r.lease, r.worker FROM runs_run r
    WHERE r.status = 'running' AND starts_with(r.worker, host)
$$;
