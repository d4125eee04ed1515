import { useInfiniteQuery } from "@tanstack/react-query";
import type { Pipeline } from "@/api/types";
import { versionsQuery } from "./queries";

/** Who has saved the current version, or null if that is not known. Asks the server only if `isNeeded`. */
export function useAuthor(pipeline: Pipeline, isNeeded: boolean): string | null {
  const { data } = useInfiniteQuery({ ...versionsQuery(pipeline.id), enabled: isNeeded });
  const newest = isNeeded ? data?.pages[0]?.results[0] : undefined;
  return newest?.number === pipeline.version ? (newest.created_by?.name ?? null) : null;
}
