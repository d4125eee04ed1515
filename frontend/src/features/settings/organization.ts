import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api, unwrapVersioned, type Versioned } from "@/api/client";
import { isChangedMeanwhile } from "@/api/problem";
import { organizationQuery } from "@/api/organization";
import { refreshSession } from "@/api/session";
import type { Organization } from "@/api/types";
import { showSuccess } from "@/components/toast";

/** Changes the organization if it is still as the page shows it. Otherwise the page gets what somebody else has saved. */
export function useSaveOrganization({ etag }: Versioned<Organization>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: Partial<Organization>) =>
      unwrapVersioned(api.PATCH("/api/v1/org", { params: { header: { "If-Match": etag } }, body })),
    onSuccess: async (saved) => {
      client.setQueryData(organizationQuery.queryKey, saved);
      await refreshSession();
      showSuccess("Saved.");
    },
    onError: async (error) => {
      if (isChangedMeanwhile(error)) await client.invalidateQueries({ queryKey: organizationQuery.queryKey });
    },
  });
}
