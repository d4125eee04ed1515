import { useRouter } from "@tanstack/react-router";
import { startSession } from "@/api/session";
import type { Session } from "@/api/types";
import { queryClient } from "@/query-client";

/** Returns a function that switches all pages to the organization of a new session. It also clears the cache. */
export function useEnterOrganization(): (session: Session) => void {
  const router = useRouter();
  return (session) => {
    startSession(session);
    queryClient.clear();
    void router.navigate({ to: "/pipelines" });
  };
}
