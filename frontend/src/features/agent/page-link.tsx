import { useRouter } from "@tanstack/react-router";
import type { MouseEvent, ReactNode } from "react";
import { isSameSitePath } from "@/session/same-site-path";

/** A link to a page of the dashboard whose path the server or the agent has sent. Any other address is shown as text. */
export function PageLinkText({ path, children }: { path: string; children: ReactNode }) {
  const router = useRouter();
  if (!isSameSitePath(path)) return <>{children}</>;

  function follow(event: MouseEvent) {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return; // the browser opens a new tab
    event.preventDefault();
    router.history.push(path);
  }

  return (
    <a href={path} className="link" onClick={follow}>
      {children}
    </a>
  );
}
