import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import type { Member } from "@/api/types";
import { Button } from "@/components/button";
import { domainsQuery } from "@/api/domains";
import { QueryContent } from "@/components/section";

/** The permissions of a member in a domain, with the reason for each. */
export function MemberPermissions({ member, onClose }: { member: Member; onClose: () => void }) {
  const [domain, setDomain] = useState("");
  const domains = useQuery(domainsQuery);
  const access = useQuery({
    queryKey: queryKeys.members.access(member.id, domain),
    queryFn: () =>
      unwrap(
        api.GET("/api/v1/org/members/{id}/access", {
          params: { path: { id: member.id }, query: domain ? { domain } : {} },
        }),
      ),
  });
  return (
    <div className="mt-4 rounded-card border border-line p-4">
      <div className="mb-3 flex flex-wrap items-center gap-3">
        <h3 className="mr-auto font-semibold">Permissions of {member.name || member.email}</h3>
        <select
          aria-label="Domain"
          className="control w-auto!"
          value={domain}
          onChange={({ target }) => setDomain(target.value)}
        >
          <option value="">Outside domains</option>
          {domains.data?.results.map(({ id, name }) => (
            <option key={id} value={id}>
              In {name}
            </option>
          ))}
        </select>
        <Button size="small" onClick={onClose}>
          Close
        </Button>
      </div>
      <QueryContent query={access}>
        {({ permissions }) => (
          <ul className="grid gap-x-6 gap-y-1 sm:grid-cols-2">
            {permissions.map(({ permission, allowed, because }) => (
              <li key={permission}>
                <span className={allowed ? "text-good" : "text-faint"}>{allowed ? "Yes" : "No"}</span>{" "}
                <code className="text-[0.8125rem]">{permission}</code>{" "}
                <span className="text-soft">{because}</span>
              </li>
            ))}
          </ul>
        )}
      </QueryContent>
    </div>
  );
}
