-- Functions for workers that look at the turns of all orgs, and return only ids. They run as app_owner, who can read
-- every row. The caller then works in the scope of each org.

-- Returns turns that no worker runs although they are not finished: their job or their worker was lost.
CREATE OR REPLACE FUNCTION agent_lost_turns() RETURNS TABLE (org_id uuid, turn_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.org_id, t.id FROM agent_turn t
    WHERE (t.status = 'running' AND t.lease_until < now() AND NOT EXISTS (
           SELECT 1 FROM procrastinate_jobs j
           WHERE j.task_name = 'agent.run_turn' AND j.status = 'todo' AND j.args ->> 'turn_id' = t.id::text))
       OR (t.status = 'pending' AND t.created_at < now() - interval '15 seconds' AND NOT EXISTS (
           SELECT 1 FROM procrastinate_jobs j
           WHERE j.task_name = 'agent.run_turn' AND j.status IN ('todo', 'doing')
             AND j.args ->> 'turn_id' = t.id::text))
    ORDER BY t.created_at LIMIT 100
$$;

-- Returns running turns whose worker has lost its connection, and so the conversation's lock (`checkpoints.LOCK_CLASS`).
-- PostgreSQL releases the lock at once when a worker is killed. A worker takes it within five seconds of its claim.
CREATE OR REPLACE FUNCTION agent_unlocked_turns() RETURNS TABLE (org_id uuid, turn_id uuid, lease uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.org_id, t.id, t.lease FROM agent_turn t
    WHERE t.status = 'running' AND t.lease_until >= now() AND t.started_at < now() - interval '5 seconds'
      AND NOT EXISTS (
          SELECT 1 FROM pg_locks l
          WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 1685221238 AND l.objsubid = 2
            AND l.objid = (hashtext(t.conversation_id::text)::bigint & 4294967295)::oid)
    ORDER BY t.created_at LIMIT 100
$$;

-- Returns open approvals whose time has passed.
CREATE OR REPLACE FUNCTION agent_expired_approvals() RETURNS TABLE (org_id uuid, approval_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT a.org_id, a.id FROM agent_approval a
    WHERE a.state = 'open' AND a.expires_at < now()
    ORDER BY a.expires_at LIMIT 100
$$;
