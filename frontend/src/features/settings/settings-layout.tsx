import { useEffect, useRef } from "react";
import { Link, Outlet, useLocation } from "@tanstack/react-router";
import { PageHeader } from "@/components/page";
import type { Permission } from "@/api/types";
import { useMay, useSession } from "@/session/use-session";

interface Tab {
  to:
    | "/settings/account"
    | "/settings/security"
    | "/settings/organization"
    | "/settings/members"
    | "/settings/domains"
    | "/settings/api-keys"
    | "/settings/sso"
    | "/settings/usage"
    | "/settings/audit";
  label: string;
  needs?: Permission;
}

const OWN_ACCOUNT: Tab[] = [
  { to: "/settings/account", label: "Account" },
  { to: "/settings/security", label: "Security" },
];
const ORGANIZATION: Tab[] = [
  { to: "/settings/organization", label: "Organization" },
  { to: "/settings/members", label: "Members" },
  { to: "/settings/domains", label: "Domains" },
  { to: "/settings/api-keys", label: "API keys", needs: "api_keys.own" },
  { to: "/settings/sso", label: "Single sign-on", needs: "settings.edit" },
  { to: "/settings/usage", label: "Usage" },
  { to: "/settings/audit", label: "Audit log", needs: "audit.view" },
];

const PEEK = 40; // pixels of the tab before, so that it can be seen that there is one

/** A row of tabs that is wider than the screen, scrolled to the tab of the page that is open. */
function useTabInView() {
  const row = useRef<HTMLElement>(null);
  const path = useLocation({ select: ({ pathname }) => pathname });
  useEffect(() => {
    const tab = row.current?.querySelector<HTMLElement>("[aria-current=page]");
    if (row.current && tab) row.current.scrollLeft = tab.offsetLeft - row.current.offsetLeft - PEEK;
  }, [path]);
  return row;
}

export function SettingsLayout() {
  const tabs = useTabInView();
  const session = useSession();
  const may = useMay();
  const open = session?.organization && !session.organization.closed;
  const theirs = open ? ORGANIZATION.filter(({ needs }) => !needs || may(needs)) : [];
  return (
    <div className="mx-auto max-w-[64rem] px-4 py-5 md:px-6">
      <PageHeader title="Settings" />
      <nav ref={tabs} aria-label="Settings" className="mb-5 flex gap-1 overflow-x-auto border-b border-line">
        {[...OWN_ACCOUNT, ...theirs].map(({ to, label }) => (
          <Link
            key={to}
            to={to}
            className="border-b-2 border-transparent px-2.5 py-1.5 whitespace-nowrap text-soft hover:text-ink data-[status=active]:border-ink data-[status=active]:font-medium data-[status=active]:text-ink"
            activeProps={{ "aria-current": "page" }}
          >
            {label}
          </Link>
        ))}
      </nav>
      <Outlet />
    </div>
  );
}
