import { useRouter } from "@tanstack/react-router";
import { startSession } from "@/api/session";
import type { Session } from "@/api/types";
import { queryClient } from "@/query-client";

/** Returns a function that starts a session, clears the cache, and opens the pipelines of its organization. */
export function useEnterOrganization(): (session: Session) => void {
  const router = useRouter();
  return (session) => {
    startSession(session);
    queryClient.clear();
    void router.navigate({ to: "/" });
  };
}
