import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import type { DataFile } from "@/api/types";

export const limitsQuery = queryOptions({ queryKey: queryKeys.files.limits, queryFn: () => fetchLimits() });

export function fetchLimits() {
  return unwrap(api.GET("/api/v1/files/limits"));
}

/** The file with this name, or null. Upper and lower case count as the same, as on the server. */
export async function findFileByName(name: string): Promise<DataFile | null> {
  const query = { q: name, limit: 200, order: "name" as const };
  const { results } = await unwrap(api.GET("/api/v1/files", { params: { query } }));
  return results.find((file) => file.name.toLowerCase() === name.toLowerCase()) ?? null;
}
