import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { queryKeys } from "@/api/query-keys";
import type { StoredRows } from "@/api/types";

const PAGE_SIZE = 100;

/** Whose records to show: those of the last run of a pipeline, or those of the table that a run has written. */
export interface RecordsOf {
  kind: "pipeline" | "run";
  id: string;
}

interface Position {
  offset: number;
  /** The token of the first page, so that the audit log has one event for all pages. */
  look: string;
}

interface RowsQuery {
  stream?: string;
  offset: number;
  limit: number;
  column?: string;
  look: string;
}

function fetchRows({ kind, id }: RecordsOf, query: RowsQuery, signal: AbortSignal): Promise<StoredRows> {
  const params = { path: { id }, query };
  return kind === "pipeline"
    ? unwrap(api.GET("/api/v1/pipelines/{id}/rows", { params, signal }))
    : unwrap(api.GET("/api/v1/runs/{id}/rows", { params, signal }));
}

/** The records of a stream at its destination, by default of the first one. They are not loaded again by themselves. */
export function recordsQuery(of: RecordsOf, stream: string | undefined) {
  return infiniteQueryOptions({
    queryKey: queryKeys.records(of.kind, of.id, stream),
    queryFn: ({ pageParam, signal }) =>
      fetchRows(of, { ...(stream !== undefined && { stream }), limit: PAGE_SIZE, ...pageParam }, signal),
    initialPageParam: { offset: 0, look: "" } as Position,
    getNextPageParam: (page: StoredRows): Position | null =>
      page.next_offset === null ? null : { offset: page.next_offset, look: page.look },
    staleTime: Infinity,
    retry: false,
  });
}

/** One value, with more of its characters than the table shows. */
export function cellQuery(of: RecordsOf, stream: string, column: string, offset: number, look: string) {
  return queryOptions({
    queryKey: queryKeys.recordCell(of.kind, of.id, stream, column, offset),
    queryFn: ({ signal }) => fetchRows(of, { stream, column, offset, limit: 1, look }, signal),
    staleTime: Infinity,
    retry: false,
  });
}
