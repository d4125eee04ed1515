import { QueryClient } from "@tanstack/react-query";
import { ProblemError } from "@/api/problem";

const TRIES = 3;

/** Trying again helps against a lost network and a busy server, not against a refusal. */
export function worthRetrying(failures: number, error: unknown): boolean {
  if (failures >= TRIES) return false;
  return !(error instanceof ProblemError) || error.status >= 500 || error.status === 429;
}

export const queryClient = new QueryClient({
  defaultOptions: { queries: { retry: worthRetrying, staleTime: 5_000 } },
});
