import { Link, Outlet, useLocation } from "@tanstack/react-router";
import type { Permission } from "@/api/types";
import { PageHeader, usePageTitle, useTabInView } from "@/components/page";
import { useHasPermission } from "@/session/use-session";

interface Tab {
  to: "/alerts" | "/alerts/open" | "/alerts/channels" | "/alerts/deliveries" | "/alerts/freshness-pages";
  label: string;
  requiredPermission?: Permission;
}

const TABS: Tab[] = [
  { to: "/alerts", label: "Rules" },
  { to: "/alerts/open", label: "Open" },
  { to: "/alerts/channels", label: "Channels" },
  { to: "/alerts/deliveries", label: "Deliveries" },
  { to: "/alerts/freshness-pages", label: "Freshness pages", requiredPermission: "settings.edit" },
];

/** The frame of the rules, the open alerts, the channels, the log of deliveries, and the freshness pages. */
export function AlertsLayout() {
  const tabRow = useTabInView();
  const path = useLocation({ select: ({ pathname }) => pathname });
  const openTab = TABS.find(({ to }) => to === path.replace(/\/$/, ""));
  const hasPermission = useHasPermission();
  const tabs = TABS.filter(
    ({ requiredPermission }) => !requiredPermission || hasPermission(requiredPermission),
  );
  usePageTitle(openTab ? `${openTab.label} · Alerts` : "Alerts");
  return (
    <div className="mx-auto max-w-[72rem] px-4 py-5 md:px-6">
      <PageHeader title="Alerts" />
      <nav ref={tabRow} aria-label="Alerts" className="mb-5 flex gap-1 overflow-x-auto border-b border-line">
        {tabs.map(({ to, label }) => (
          <Link
            key={to}
            to={to}
            activeOptions={{ exact: true, includeSearch: false }}
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
