import { QueryClient } from "@tanstack/react-query";
import { ProblemError } from "@/api/problem";

const TRIES = 3;

/** Retry when the network failed or the server is busy. A refused request would be refused again. */
export function worthRetrying(failures: number, error: unknown): boolean {
  if (failures >= TRIES) return false;
  return !(error instanceof ProblemError) || error.status >= 500 || error.status === 429;
}

export const queryClient = new QueryClient({
  defaultOptions: { queries: { retry: worthRetrying, staleTime: 5_000 } },
});
