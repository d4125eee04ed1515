import { useQuery } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import type { DomainChoice, Permission } from "@/api/types";
import { useHasPermission } from "./use-session";

/** The domains in which the user has the permission, and "No domain" if the user has it in the organization. */
export function useEditableDomains(permission: Permission): DomainChoice[] {
  const hasPermission = useHasPermission();
  const { data } = useQuery({
    queryKey: queryKeys.domains.all,
    queryFn: () => unwrap(api.GET("/api/v1/org/domains", { params: { query: { limit: 200 } } })),
  });
  const choices: DomainChoice[] = [{ id: null, name: "No domain" }, ...(data?.results ?? [])];
  return choices.filter(({ id }) => hasPermission(permission, id));
}
