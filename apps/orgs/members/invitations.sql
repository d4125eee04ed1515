-- Whoever follows the link of an invitation is not a member of its org yet: answers ids for a digest of 256 bits.
CREATE OR REPLACE FUNCTION invitation_by_digest(wanted bytea) RETURNS TABLE (org_id uuid, invitation_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT i.org_id, i.id FROM orgs_invitation i WHERE i.digest = wanted
$$;

-- Whoever gives up an address may be invited by orgs that they are not a member of. Answers nothing.
CREATE OR REPLACE FUNCTION forget_invitation_links(address text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE orgs_invitation SET digest = NULL WHERE email = address AND accepted_at IS NULL
$$;
