import { useMutation, useQueryClient } from "@tanstack/react-query";
import { answer, api } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import { refresh } from "@/api/session";
import type { Organization } from "@/api/types";
import { showSuccess } from "@/components/toast";

export const organizationQuery = {
  queryKey: queryKeys.organization,
  queryFn: () => answer(api.GET("/api/v1/org")),
};

export function useSaveOrganization() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: Partial<Organization>) => answer(api.PATCH("/api/v1/org", { body })),
    onSuccess: async (saved) => {
      client.setQueryData(organizationQuery.queryKey, saved);
      await refresh();
      showSuccess("Saved.");
    },
  });
}
