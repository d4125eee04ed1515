import { useRouter } from "@tanstack/react-router";
import { begin } from "@/api/session";
import type { Session } from "@/api/types";
import { queryClient } from "@/query-client";

/** Work in the organization of this session from now on: nothing of another one may stay on the pages. */
export function useEntering(): (session: Session) => void {
  const router = useRouter();
  return (session) => {
    begin(session);
    queryClient.clear();
    void router.navigate({ to: "/pipelines" });
  };
}
