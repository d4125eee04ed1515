-- Returns the ids of the org and the invitation for the digest of its link. It is SECURITY DEFINER because the user
-- who opens the link is not a member of the org yet.
CREATE OR REPLACE FUNCTION invitation_by_digest(wanted bytea) RETURNS TABLE (org_id uuid, invitation_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT i.org_id, i.id FROM orgs_invitation i WHERE i.digest = wanted
$$;

-- Invalidates the links of all invitations to this address. It is SECURITY DEFINER because the invitations may belong
-- to orgs of which the user is not a member.
CREATE OR REPLACE FUNCTION forget_invitation_links(address text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE orgs_invitation SET digest = NULL WHERE email = address AND accepted_at IS NULL
$$;
