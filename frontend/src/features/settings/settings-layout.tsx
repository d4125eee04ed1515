import { Link, Outlet, useLocation } from "@tanstack/react-router";
import { PageHeader, usePageTitle, useTabInView } from "@/components/page";
import type { Permission } from "@/api/types";
import { useHasPermission, useSession } from "@/session/use-session";

interface Tab {
  to:
    | "/settings/account"
    | "/settings/security"
    | "/settings/organization"
    | "/settings/members"
    | "/settings/domains"
    | "/settings/api-keys"
    | "/settings/sso"
    | "/settings/model"
    | "/settings/usage"
    | "/settings/audit";
  label: string;
  requiredPermission?: Permission;
}

const ACCOUNT_TABS: Tab[] = [
  { to: "/settings/account", label: "Account" },
  { to: "/settings/security", label: "Security" },
];
const ORGANIZATION_TABS: Tab[] = [
  { to: "/settings/organization", label: "Organization" },
  { to: "/settings/members", label: "Members" },
  { to: "/settings/domains", label: "Domains" },
  { to: "/settings/api-keys", label: "API keys", requiredPermission: "api_keys.own" },
  { to: "/settings/sso", label: "Single sign-on", requiredPermission: "settings.edit" },
  { to: "/settings/model", label: "Language model", requiredPermission: "agent.use" },
  { to: "/settings/usage", label: "Usage" },
  { to: "/settings/audit", label: "Audit log", requiredPermission: "audit.view" },
];

export function SettingsLayout() {
  const tabRow = useTabInView();
  const path = useLocation({ select: ({ pathname }) => pathname });
  const openTab = [...ACCOUNT_TABS, ...ORGANIZATION_TABS].find(({ to }) => to === path);
  usePageTitle(openTab ? `${openTab.label} · Settings` : "Settings");
  const session = useSession();
  const hasPermission = useHasPermission();
  const isOpen = session?.organization && !session.organization.closed;
  const organizationTabs = isOpen
    ? ORGANIZATION_TABS.filter(
        ({ requiredPermission }) => !requiredPermission || hasPermission(requiredPermission),
      )
    : [];
  return (
    <div className="mx-auto max-w-[64rem] px-4 py-5 md:px-6">
      <PageHeader title="Settings" />
      <nav
        ref={tabRow}
        aria-label="Settings"
        className="mb-5 flex gap-1 overflow-x-auto border-b border-line"
      >
        {[...ACCOUNT_TABS, ...organizationTabs].map(({ to, label }) => (
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
