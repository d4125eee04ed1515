import { Link, useLocation } from "@tanstack/react-router";
import { useEffect, useState, type ReactNode } from "react";
import { buttonClasses } from "@/components/button";
import { classNames } from "@/components/class-names";
import {
  AgentIcon,
  BellIcon,
  CodeIcon,
  ConnectorIcon,
  CrossIcon,
  FileIcon,
  MenuIcon,
  OverviewIcon,
  PipelineIcon,
  RunsIcon,
  UserIcon,
} from "@/components/icons";
import { useHasPermissionSomewhere } from "@/session/use-session";
import { PAGES, type KeyedPage } from "./keys";

const NAVIGATION_ID = "main-navigation";

/** The links to the pages. On a phone they are a menu below the header. In other narrow windows they are in a row. */
export function Navigation() {
  const canUseAgent = useHasPermissionSomewhere("agent.use");
  const canEditAlerts = useHasPermissionSomewhere("alerts.edit");
  const menu = usePhoneMenu();
  return (
    <>
      <MenuButton isOpen={menu.isOpen} onToggle={menu.toggle} />
      <nav
        id={NAVIGATION_ID}
        aria-label="Main"
        className={classNames(
          "flex gap-0.5 max-lg:min-w-0 max-lg:p-0.5 md:max-lg:gap-0 md:max-lg:overflow-x-auto lg:flex-col",
          "max-md:absolute max-md:inset-x-0 max-md:top-full max-md:flex-col max-md:border-b max-md:border-line max-md:bg-side max-md:p-2 max-md:shadow-float",
          !menu.isOpen && "max-md:hidden",
        )}
      >
        <NavLink to="/" alsoMarkedOn="/start" icon={<OverviewIcon />} exact>
          Overview
        </NavLink>
        <NavLink to="/pipelines" alsoMarkedOn="/dependencies" icon={<PipelineIcon />}>
          Pipelines
        </NavLink>
        <NavLink to="/runs" alsoMarkedOn="/queue" icon={<RunsIcon />}>
          Runs
        </NavLink>
        <NavLink to="/connectors" icon={<ConnectorIcon />}>
          Connectors
        </NavLink>
        <NavLink to="/sources" icon={<CodeIcon />}>
          <span>
            <span className="md:max-lg:sr-only">Custom </span>
            <span className="inline-block md:max-lg:first-letter:uppercase">sources</span>
          </span>
        </NavLink>
        <NavLink to="/files" icon={<FileIcon />}>
          Files
        </NavLink>
        {canEditAlerts && (
          <NavLink to="/alerts" icon={<BellIcon />}>
            Alerts
          </NavLink>
        )}
        {canUseAgent && (
          <NavLink to="/agent" alsoMarkedOn="/approvals" icon={<AgentIcon />}>
            Agent
          </NavLink>
        )}
        <NavLink to="/settings" icon={<UserIcon />}>
          Settings
        </NavLink>
      </nav>
    </>
  );
}

/** Whether the menu of pages is open on a phone. It closes with Escape, and when another page is opened. */
function usePhoneMenu() {
  const address = useLocation({ select: ({ href }) => href });
  const [openAt, setOpenAt] = useState<string | null>(null); // the address of the page on which it was opened
  const isOpen = openAt === address;
  useEffect(() => {
    if (!isOpen) return;
    function close(event: KeyboardEvent | PointerEvent) {
      const isInside = event.target instanceof Element && event.target.closest("header") !== null;
      if (event instanceof KeyboardEvent ? event.key === "Escape" : !isInside) setOpenAt(null);
    }
    document.addEventListener("keydown", close);
    document.addEventListener("pointerdown", close);
    return () => {
      document.removeEventListener("keydown", close);
      document.removeEventListener("pointerdown", close);
    };
  }, [isOpen]);
  return { isOpen, toggle: () => setOpenAt(isOpen ? null : address) };
}

function MenuButton({ isOpen, onToggle }: { isOpen: boolean; onToggle: () => void }) {
  return (
    <button
      type="button"
      aria-expanded={isOpen}
      aria-controls={NAVIGATION_ID}
      className={classNames(buttonClasses("plain"), "md:hidden")}
      onClick={onToggle}
    >
      {isOpen ? <CrossIcon /> : <MenuIcon />}
      Menu
    </button>
  );
}

interface NavLinkProps {
  to: KeyedPage["to"];
  icon: ReactNode;
  /** Whether the link is not active on the pages below its address. */
  exact?: boolean;
  /** Further pages that belong to this entry, although their addresses are not below its address. */
  alsoMarkedOn?: string;
  children: ReactNode;
}

function NavLink({ to, icon, exact, alsoMarkedOn, children }: NavLinkProps) {
  const page = PAGES.find((keyed) => keyed.to === to);
  const isMarked = useLocation({
    select: ({ pathname }) => alsoMarkedOn !== undefined && `${pathname}/`.startsWith(`${alsoMarkedOn}/`),
  });
  return (
    <Link
      to={to}
      activeOptions={{ exact, includeSearch: false }}
      title={page && `Keyboard shortcut: g ${page.key}`}
      className="flex h-8 items-center gap-2.5 rounded-control px-2 text-soft hover:bg-hover hover:text-ink max-md:h-10 max-md:px-2.5 md:max-lg:px-1 md:max-lg:text-[0.8125rem] lg:px-2.5 data-[status=active]:bg-picked data-[status=active]:font-medium data-[status=active]:text-ink"
      activeProps={{ "aria-current": "page" }}
      {...(isMarked && { "data-status": "active", "aria-current": "page" })}
    >
      <span className="text-faint md:max-lg:hidden">{icon}</span>
      {children}
    </Link>
  );
}
