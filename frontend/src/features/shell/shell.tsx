import { Link, Outlet, useLocation } from "@tanstack/react-router";
import { Fragment, useEffect, useRef, useSyncExternalStore, type ReactNode } from "react";
import { closeAgentPanel, toggleAgentPanel, useAgentPanel } from "@/agent-panel";
import { buttonClasses } from "@/components/button";
import { classNames } from "@/components/class-names";
import { AgentIcon, SearchIcon } from "@/components/icons";
import { ActionErrors, clearErrors } from "@/components/toast";
import logo from "@/logo.svg";
import { useHasPermissionSomewhere, useSession } from "@/session/use-session";
import { AccountMenu } from "./account-menu";
import { Banners } from "./banners";
import { EmailNotice } from "./email-notice";
import { Navigation } from "./navigation";
import { OrganizationMenu } from "./organization-menu";
import { OrganizationNotice } from "./organization-notice";
import { Overlay } from "./overlay";
import { openOverlay } from "./overlays";
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
  return (
    <div
      className={classNames(
        "min-h-dvh lg:grid lg:grid-cols-[15rem_1fr]",
        isAgentPage && "max-lg:flex max-lg:h-dvh max-lg:flex-col",
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
        <Navigation />
        <div className="ml-auto flex shrink-0 items-center gap-1 max-sm:gap-0 lg:mt-auto lg:ml-0 lg:flex-col lg:items-stretch">
          <SearchButton />
          {canUseAgent && !isAgentPage && <AgentButton isOpen={isPanelOpen} />}
          <AccountMenu />
        </div>
      </header>
      {/* Pages adapt to the width of this container, because the panel leaves them less than the window. */}
      <main
        id="main"
        tabIndex={-1}
        inert={isCovered}
        className={classNames(
          "@container/page min-w-0 outline-none",
          // A page with a conversation is as high as what the notices leave of the window.
          isAgentPage && "flex min-h-0 flex-col max-lg:flex-1 lg:h-dvh",
        )}
      >
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
