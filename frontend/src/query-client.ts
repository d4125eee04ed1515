import { QueryClient } from "@tanstack/react-query";
import { ProblemError } from "@/api/problem";

const MAX_RETRIES = 1;
const RETRY_DELAY = 800; // milliseconds, so that the user sees an error within two seconds

/** Returns true after network errors, and if the server is busy or has failed, but at most MAX_RETRIES times. */
export function shouldRetry(failures: number, error: unknown): boolean {
  if (failures >= MAX_RETRIES) return false;
  return !(error instanceof ProblemError) || error.status >= 500 || error.status === 429;
}

export const queryClient = new QueryClient({
  defaultOptions: { queries: { retry: shouldRetry, retryDelay: RETRY_DELAY, staleTime: 5_000 } },
});
