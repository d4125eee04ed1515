import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import { refreshSession } from "@/api/session";
import type { Organization } from "@/api/types";
import { showSuccess } from "@/components/toast";

export const organizationQuery = {
  queryKey: queryKeys.organization,
  queryFn: () => unwrap(api.GET("/api/v1/org")),
};

export function useSaveOrganization() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: Partial<Organization>) => unwrap(api.PATCH("/api/v1/org", { body })),
    onSuccess: async (saved) => {
      client.setQueryData(organizationQuery.queryKey, saved);
      await refreshSession();
      showSuccess("Saved.");
    },
  });
}
