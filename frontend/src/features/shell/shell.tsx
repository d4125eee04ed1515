import { useMutation } from "@tanstack/react-query";
import { Link, Outlet, useLocation } from "@tanstack/react-router";
import { Fragment, useEffect, useRef, useState, useSyncExternalStore, type ReactNode } from "react";
import { closeAgentPanel, toggleAgentPanel, useAgentPanel } from "@/agent-panel";
import { api, unwrap } from "@/api/client";
import { endSession } from "@/api/session";
import { buttonClasses } from "@/components/button";
import { classNames } from "@/components/class-names";
import {
  AgentIcon,
  BuildingIcon,
  ChevronIcon,
  CodeIcon,
  ConnectorIcon,
  CrossIcon,
  FileIcon,
  MenuIcon,
  MoonIcon,
  OverviewIcon,
  PipelineIcon,
  RunsIcon,
  ScreenIcon,
  SearchIcon,
  SunIcon,
  UserIcon,
} from "@/components/icons";
import { Menu, MenuChoice, MenuItem, MenuSeparator } from "@/components/menu";
import { ActionErrors, clearErrors, showError } from "@/components/toast";
import { Name } from "@/components/name";
import logo from "@/logo.svg";
import { absoluteTime } from "@/format/time";
import { useEnterOrganization } from "@/session/use-enter-organization";
import { useHasPermissionSomewhere, useSession } from "@/session/use-session";
import { saveTheme, storedTheme, type Theme } from "@/theme";
import { Banners } from "./banners";
import { Overlay } from "./overlay";
import { openOverlay } from "./overlays";
import { EmailNotice } from "./email-notice";
import { RoleNotice } from "./role-notice";
import { useShortcuts } from "./shortcuts";

/** The frame of all pages. `agentPanel` is shown beside the page when the user opens it. */
export function Shell({ agentPanel }: { agentPanel: ReactNode }) {
  const canUseAgent = useHasPermissionSomewhere("agent.use");
  useShortcuts();
  const session = useSession();
  const key = `${session?.user.id} ${session?.organization?.id}`;
  const isAgentPage = useIsAgentPage();
  const { isOpen } = useAgentPanel();
  const isPanelOpen = isOpen && canUseAgent && !isAgentPage;
  const isCovered = useIsNarrow() && isPanelOpen; // there is no room for the panel beside the page
  useCloseOnNavigation();
  useForgottenErrors();
  const menu = usePhoneMenu();
  return (
    <div
      className={classNames(
        "min-h-dvh lg:grid lg:grid-cols-[15rem_1fr]",
        isPanelOpen && "xl:grid-cols-[15rem_1fr_26rem]",
      )}
    >
      <a
        href="#main"
        inert={isCovered}
        className={classNames(
          buttonClasses("primary"),
          "absolute top-2 left-2 z-50 -translate-y-20 focus:translate-y-0",
        )}
      >
        Skip to content
      </a>
      <header
        inert={isCovered}
        className="sticky top-0 z-30 flex items-center gap-1 border-b border-line bg-side px-3 py-2 max-sm:px-2 lg:h-dvh lg:flex-col lg:items-stretch lg:gap-4 lg:border-r lg:border-b-0 lg:p-3"
      >
        <div className="flex min-w-0 items-center gap-2 max-sm:gap-1 lg:px-1">
          <Link to="/" className="shrink-0" aria-label="Drover, home">
            <img src={logo} alt="" width="26" height="26" />
          </Link>
          <OrganizationMenu />
        </div>
        <MenuButton isOpen={menu.isOpen} onToggle={menu.toggle} />
        {/* On a phone the links are a menu below the header. In other narrow windows they are in a row. */}
        <nav
          id={NAVIGATION_ID}
          aria-label="Main"
          className={classNames(
            "flex gap-0.5 max-lg:min-w-0 max-lg:p-0.5 md:max-lg:overflow-x-auto lg:flex-col",
            "max-md:absolute max-md:inset-x-0 max-md:top-full max-md:flex-col max-md:border-b max-md:border-line max-md:bg-side max-md:p-2 max-md:shadow-float",
            !menu.isOpen && "max-md:hidden",
          )}
        >
          <NavLink to="/" keys="g o" icon={<OverviewIcon />} exact>
            Overview
          </NavLink>
          <NavLink to="/pipelines" keys="g p" icon={<PipelineIcon />}>
            Pipelines
          </NavLink>
          <NavLink to="/runs" keys="g r" icon={<RunsIcon />}>
            Runs
          </NavLink>
          <NavLink to="/connectors" keys="g n" icon={<ConnectorIcon />}>
            Connectors
          </NavLink>
          <NavLink to="/sources" keys="g c" icon={<CodeIcon />}>
            <span>
              <span className="md:max-lg:sr-only">Custom </span>
              <span className="inline-block md:max-lg:first-letter:uppercase">sources</span>
            </span>
          </NavLink>
          <NavLink to="/files" keys="g f" icon={<FileIcon />}>
            Files
          </NavLink>
          {canUseAgent && (
            <NavLink to="/agent" keys="g a" icon={<AgentIcon />}>
              Agent
            </NavLink>
          )}
          <NavLink to="/settings" keys="g s" icon={<UserIcon />}>
            Settings
          </NavLink>
        </nav>
        <div className="ml-auto flex shrink-0 items-center gap-1 max-sm:gap-0 lg:mt-auto lg:ml-0 lg:flex-col lg:items-stretch">
          <SearchButton />
          {canUseAgent && !isAgentPage && <AgentButton isOpen={isPanelOpen} />}
          <UserMenu />
        </div>
      </header>
      {/* Pages adapt to the width of this container, because the panel leaves them less than the window. */}
      <main id="main" tabIndex={-1} inert={isCovered} className="@container/page min-w-0 outline-none">
        <Banners />
        <EmailNotice />
        <OrganizationNotice />
        <RoleNotice />
        <ActionErrors />
        {/* The key renders all pages again after a switch, so that nothing of the other organization or user stays visible. */}
        <Outlet key={key} />
      </main>
      {isPanelOpen && <Fragment key={key}>{agentPanel}</Fragment>}
      <Overlay />
    </div>
  );
}

const NAVIGATION_ID = "main-navigation";

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

/** The pages that contain a conversation themselves. The panel is not shown beside them. */
const AGENT_PAGES = /^\/(agent|sources\/builder)(\/|$)/;

function useIsAgentPage(): boolean {
  return useLocation({ select: ({ pathname }) => AGENT_PAGES.test(pathname) });
}

/** The opposite of Tailwind's `xl`. */
const narrowQuery = globalThis.matchMedia?.("(width < 80rem)");

/** Whether the window is so narrow that the panel covers the page. */
function useIsNarrow(): boolean {
  return useSyncExternalStore(subscribeToWidth, () => narrowQuery?.matches ?? false);
}

function subscribeToWidth(listener: () => void): () => void {
  narrowQuery?.addEventListener("change", listener);
  return () => narrowQuery?.removeEventListener("change", listener);
}

/** After a link in the panel, close the panel if it covers the page that the link leads to. */
function useCloseOnNavigation(): void {
  const address = useLocation({ select: ({ href }) => href });
  const addressBefore = useRef(address);
  useEffect(() => {
    if (addressBefore.current === address) return;
    addressBefore.current = address;
    if (narrowQuery?.matches) closeAgentPanel();
  }, [address]);
}

/** The errors of actions belong to the page on which they happened. */
function useForgottenErrors(): void {
  const path = useLocation({ select: ({ pathname }) => pathname });
  useEffect(() => clearErrors, [path]);
}

function SearchButton() {
  return (
    <button
      type="button"
      title="Search everything (Ctrl+K or ⌘K)"
      className={classNames(
        buttonClasses("plain"),
        "shrink-0 text-soft! max-lg:size-8 max-sm:size-7! max-lg:justify-center max-lg:px-0!",
      )}
      onClick={() => openOverlay("palette")}
    >
      <SearchIcon />
      <span className="max-lg:sr-only">
        Search<span className="sr-only"> everything</span>
      </span>
      <kbd aria-hidden="true" className="ml-auto font-mono text-xs text-faint max-lg:hidden">
        Ctrl K
      </kbd>
    </button>
  );
}

function AgentButton({ isOpen }: { isOpen: boolean }) {
  return (
    <button
      type="button"
      aria-expanded={isOpen}
      aria-label="Ask the agent"
      title="Ask the agent (Ctrl+J or ⌘J)"
      className={classNames(
        buttonClasses("plain"),
        "shrink-0 max-lg:size-8 max-sm:size-7! max-lg:justify-center max-lg:px-0!",
      )}
      onClick={toggleAgentPanel}
    >
      <AgentIcon className="text-brand" />
      <span className="max-lg:sr-only">Ask the agent</span>
    </button>
  );
}

/** Shown on every page while the organization is suspended or scheduled for deletion. */
function OrganizationNotice() {
  const organization = useSession()?.organization;
  if (!organization?.suspended_at && !organization?.deletion_at) return null;
  return (
    <p role="status" className="border-b border-line bg-wait-wash px-4 py-2 text-wait md:px-6">
      {organization.suspended_at
        ? `${organization.name} was suspended by an operator of this installation. You can view everything, but not change or run anything.`
        : `${organization.name} will be deleted on ${absoluteTime(organization.deletion_at!)}. Until then you can view everything, but not change or run anything. An owner can restore it under Settings, Organization.`}
    </p>
  );
}

function NavLink({
  to,
  keys,
  icon,
  className,
  exact,
  children,
}: {
  to: "/" | "/pipelines" | "/runs" | "/connectors" | "/sources" | "/files" | "/agent" | "/settings";
  keys: string;
  icon: ReactNode;
  className?: string;
  /** Whether the link is not active on the pages below its address. */
  exact?: boolean;
  children: ReactNode;
}) {
  return (
    <Link
      to={to}
      activeOptions={{ exact, includeSearch: false }}
      title={`Keyboard shortcut: ${keys}`}
      className={classNames(
        "flex h-8 items-center gap-2.5 rounded-control px-2 text-soft hover:bg-hover hover:text-ink max-md:h-10 max-md:px-2.5 lg:px-2.5 data-[status=active]:bg-picked data-[status=active]:font-medium data-[status=active]:text-ink",
        className,
      )}
      activeProps={{ "aria-current": "page" }}
    >
      <span className="text-faint md:max-lg:hidden">{icon}</span>
      {children}
    </Link>
  );
}

function OrganizationMenu() {
  const session = useSession();
  const switchOrganization = useMutation({
    mutationFn: (org: string) => unwrap(api.POST("/api/v1/auth/switch", { body: { org } })),
    onSuccess: useEnterOrganization(),
    onError: (error) => showError(error),
  });
  if (!session?.organization) return null;
  const { organization, organizations = [] } = session;
  if (organizations.length < 2) {
    return (
      <Name cut className="font-semibold max-lg:max-w-28">
        {organization.name}
      </Name>
    );
  }
  return (
    <Menu
      label="Organizations"
      trigger={
        <button
          type="button"
          className={classNames(buttonClasses("quiet"), "px-1.5! text-ink! max-sm:px-0.5!")}
        >
          <Name cut className="max-w-[5rem] font-semibold lg:max-w-[8.5rem]">
            {organization.name}
          </Name>
          <ChevronIcon className="shrink-0 text-faint" />
        </button>
      }
    >
      <MenuChoice
        label="Organization"
        value={organization.id}
        onChange={(org) => org !== organization.id && switchOrganization.mutate(org)}
        choices={organizations.map(({ id, name }) => ({
          value: id,
          label: (
            <>
              <BuildingIcon className="shrink-0 text-faint" />
              <Name cut>{name}</Name>
            </>
          ),
        }))}
      />
    </Menu>
  );
}

function UserMenu() {
  const session = useSession();
  const [theme, setTheme] = useState(storedTheme);
  const logout = useMutation({
    mutationFn: () =>
      unwrap(api.POST("/api/v1/auth/logout", { params: { header: { "X-Requested-With": "drover" } } })),
    onSuccess: endSession,
    onError: (error) => showError(error),
  });
  if (!session) return null;
  const { user, organization } = session;
  return (
    <Menu
      label="Your account"
      trigger={
        <button type="button" className={classNames(buttonClasses("quiet"), "w-full gap-2.5! max-sm:px-1!")}>
          <span
            aria-hidden="true"
            className="grid size-6 shrink-0 place-items-center rounded-full bg-line text-xs font-semibold text-ink"
          >
            {initials(user.name || user.email)}
          </span>
          <span className="sr-only">Account of </span>
          <Name cut className="flex-1 max-lg:sr-only">
            {user.name || user.email}
          </Name>
        </button>
      }
    >
      <div className="px-2.5 py-1.5">
        <p className="max-w-72 font-medium">
          <Name>{user.name}</Name>
        </p>
        <p className="max-w-72 text-[0.8125rem] text-faint">
          <Name>{user.email}</Name>
        </p>
        <p className="max-w-72 text-[0.8125rem] text-faint">
          {organization && (
            <>
              <Name>{organization.name}</Name>, {organization.role}
            </>
          )}
        </p>
      </div>
      <MenuSeparator />
      <MenuChoice<Theme>
        label="Theme"
        value={theme}
        onChange={(newTheme) => {
          saveTheme(newTheme);
          setTheme(newTheme);
        }}
        choices={[
          {
            value: "system",
            label: (
              <>
                <ScreenIcon className="text-faint" /> System
              </>
            ),
          },
          {
            value: "light",
            label: (
              <>
                <SunIcon className="text-faint" /> Light
              </>
            ),
          },
          {
            value: "dark",
            label: (
              <>
                <MoonIcon className="text-faint" /> Dark
              </>
            ),
          },
        ]}
      />
      <MenuSeparator />
      <MenuItem onSelect={() => logout.mutate()}>
        <UserIcon className="text-faint" /> Log out
      </MenuItem>
    </Menu>
  );
}

function initials(name: string): string {
  const words = name.split(/[\s@.]+/).filter(Boolean);
  return `${words[0]?.[0] ?? "?"}${words.length > 1 ? words[1]![0] : ""}`.toUpperCase();
}
