import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from "@tanstack/react-router";
import { lazy, Suspense } from "react";
import { resetAgentPanel } from "@/agent-panel";
import { currentSession, onSessionChange, resumeSession } from "@/api/session";
import { Toasts } from "@/components/toast";
import { LoginPage } from "@/features/sign-in/login-page";
import { SignupPage } from "@/features/sign-in/signup-page";
import { PipelinesPage } from "@/features/pipelines/pipelines-page";
import { parseConnectorFilter, parseNewConnector } from "@/features/connectors/filter";
import { parseFileFilter } from "@/features/files/filter";
import { parsePipelineFilter } from "@/features/pipelines/filter";
import { parseRunFilter, parseRunSearch } from "@/features/runs/filter";
import { parseSourceFilter } from "@/features/sources/filter";
import { NotFoundPage, RouteErrorPage } from "@/components/error-pages";
import { Shell } from "@/features/shell/shell";
import { queryClient } from "./query-client";
import { isSameSitePath } from "./session/same-site-path";

function RootLayout() {
  return (
    <>
      <Outlet />
      <Toasts />
    </>
  );
}

const root = createRootRoute({
  component: RootLayout,
  notFoundComponent: NotFoundPage,
  errorComponent: RouteErrorPage,
});

function parseNext(search: Record<string, unknown>): { next?: string } {
  const { next } = search;
  return isSameSitePath(next) ? { next } : {};
}

function parseLogin(search: Record<string, unknown>): { next?: string; problem?: string } {
  const { problem } = search;
  return { ...parseNext(search), ...(typeof problem === "string" ? { problem } : {}) };
}

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  validateSearch: parseLogin,
  component: LoginPage,
});

const forgotPassword = createRoute({
  getParentRoute: () => root,
  path: "/forgot-password",
  component: lazyRouteComponent(() => import("@/features/sign-in/mailed-pages"), "ForgotPasswordPage"),
});

const resetPassword = createRoute({
  getParentRoute: () => root,
  path: "/reset-password",
  component: lazyRouteComponent(() => import("@/features/sign-in/mailed-pages"), "ResetPasswordPage"),
});

const verifyEmail = createRoute({
  getParentRoute: () => root,
  path: "/verify-email",
  component: lazyRouteComponent(() => import("@/features/sign-in/mailed-pages"), "VerifyEmailPage"),
});

const invitation = createRoute({
  getParentRoute: () => root,
  path: "/invitation",
  component: lazyRouteComponent(() => import("@/features/sign-in/invitation-page"), "InvitationPage"),
});

const welcome = createRoute({
  getParentRoute: () => root,
  path: "/welcome",
  component: lazyRouteComponent(() => import("@/features/sign-in/after-login-pages"), "WelcomePage"),
});

const noAccess = createRoute({
  getParentRoute: () => root,
  path: "/no-access",
  beforeLoad: requireSession,
  component: lazyRouteComponent(() => import("@/features/sign-in/after-login-pages"), "NoAccessPage"),
});

async function requireSession({ location }: { location: { href: string } }) {
  if (currentSession().status === "unknown") await resumeSession();
  if (currentSession().status !== "logged-in") {
    const next = location.href === "/" ? {} : { next: location.href };
    throw redirect({ to: "/login", search: next });
  }
}

/** Pages of the user's own account. They stay open if the organization's access rules exclude the user, because the
 * user may have to set up a second factor there. */
const ACCOUNT_PATHS = ["/settings/account", "/settings/security"];

const signup = createRoute({
  getParentRoute: () => root,
  path: "/signup",
  validateSearch: parseNext,
  component: SignupPage,
});

const AgentPanel = lazy(() =>
  import("@/features/agent/agent-panel").then(({ AgentPanel }) => ({ default: AgentPanel })),
);

/** The frame of all pages, with the agent's panel. Its code is loaded when the panel is opened for the first time. */
function AppLayout() {
  const agentPanel = (
    <Suspense fallback={null}>
      <AgentPanel />
    </Suspense>
  );
  return <Shell agentPanel={agentPanel} />;
}

const app = createRoute({
  getParentRoute: () => root,
  id: "app",
  beforeLoad: async ({ location }) => {
    await requireSession({ location });
    const state = currentSession();
    const organization = state.status === "logged-in" ? state.session.organization : null;
    const isClosed = !organization || organization.closed !== null;
    if (isClosed && !ACCOUNT_PATHS.includes(location.pathname)) throw redirect({ to: "/no-access" });
  },
  component: AppLayout,
  errorComponent: RouteErrorPage,
});

const home = createRoute({
  getParentRoute: () => app,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/pipelines", replace: true });
  },
});

const pipelines = createRoute({
  getParentRoute: () => app,
  path: "/pipelines",
  validateSearch: parsePipelineFilter,
  component: PipelinesPage,
});

const newPipeline = createRoute({
  getParentRoute: () => app,
  path: "/pipelines/new",
  component: lazyRouteComponent(() => import("@/features/new-pipeline/new-pipeline-page"), "NewPipelinePage"),
});

const pipeline = createRoute({
  getParentRoute: () => app,
  path: "/pipelines/$pipelineId",
  component: lazyRouteComponent(() => import("@/features/pipelines/pipeline-page"), "PipelinePage"),
});

const runs = createRoute({
  getParentRoute: () => app,
  path: "/runs",
  validateSearch: parseRunFilter,
  component: lazyRouteComponent(() => import("@/features/runs/runs-page"), "RunsPage"),
});

const run = createRoute({
  getParentRoute: () => app,
  path: "/runs/$runId",
  validateSearch: parseRunSearch,
  component: lazyRouteComponent(() => import("@/features/runs/run-page"), "RunPage"),
});

const approvals = createRoute({
  getParentRoute: () => app,
  path: "/approvals",
  component: lazyRouteComponent(() => import("@/features/approvals/approvals-page"), "ApprovalsPage"),
});

const approval = createRoute({
  getParentRoute: () => app,
  path: "/approvals/$requestId",
  component: lazyRouteComponent(() => import("@/features/approvals/approval-page"), "ApprovalPage"),
});

const connectors = createRoute({
  getParentRoute: () => app,
  path: "/connectors",
  validateSearch: parseConnectorFilter,
  component: lazyRouteComponent(() => import("@/features/connectors/connectors-page"), "ConnectorsPage"),
});

const newConnector = createRoute({
  getParentRoute: () => app,
  path: "/connectors/new",
  validateSearch: parseNewConnector,
  component: lazyRouteComponent(() => import("@/features/connectors/new-connector-page"), "NewConnectorPage"),
});

const connector = createRoute({
  getParentRoute: () => app,
  path: "/connectors/$connectorId",
  component: lazyRouteComponent(() => import("@/features/connectors/connector-page"), "ConnectorPage"),
});

const sources = createRoute({
  getParentRoute: () => app,
  path: "/sources",
  validateSearch: parseSourceFilter,
  component: lazyRouteComponent(() => import("@/features/sources/sources-page"), "SourcesPage"),
});

const newSource = createRoute({
  getParentRoute: () => app,
  path: "/sources/new",
  component: lazyRouteComponent(() => import("@/features/sources/new-source-page"), "NewSourcePage"),
});

const repositories = createRoute({
  getParentRoute: () => app,
  path: "/sources/repositories",
  component: lazyRouteComponent(() => import("@/features/sources/repositories-page"), "RepositoriesPage"),
});

const sourceBuilder = createRoute({
  getParentRoute: () => app,
  path: "/sources/builder/{-$conversationId}", // without an id it is a new conversation
  component: lazyRouteComponent(() => import("./source-builder-route"), "SourceBuilderRoute"),
});

const source = createRoute({
  getParentRoute: () => app,
  path: "/sources/$sourceId",
  component: lazyRouteComponent(() => import("@/features/sources/source-page"), "SourcePage"),
});

const files = createRoute({
  getParentRoute: () => app,
  path: "/files",
  validateSearch: parseFileFilter,
  component: lazyRouteComponent(() => import("@/features/files/files-page"), "FilesPage"),
});

const agent = createRoute({
  getParentRoute: () => app,
  path: "/agent",
  component: lazyRouteComponent(() => import("@/features/agent/agent-page"), "AgentPage"),
});

const agentConversation = createRoute({
  getParentRoute: () => app,
  path: "/agent/$conversationId",
  component: lazyRouteComponent(() => import("@/features/agent/agent-page"), "AgentConversationPage"),
});

const settings = createRoute({
  getParentRoute: () => app,
  path: "/settings",
  component: lazyRouteComponent(() => import("@/features/settings/settings-layout"), "SettingsLayout"),
});

const settingsHome = createRoute({
  getParentRoute: () => settings,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/settings/account", replace: true });
  },
});

const account = createRoute({
  getParentRoute: () => settings,
  path: "/account",
  component: lazyRouteComponent(() => import("@/features/settings/account-page"), "AccountPage"),
});

const security = createRoute({
  getParentRoute: () => settings,
  path: "/security",
  component: lazyRouteComponent(() => import("@/features/settings/security-page"), "SecurityPage"),
});

const organization = createRoute({
  getParentRoute: () => settings,
  path: "/organization",
  component: lazyRouteComponent(() => import("@/features/settings/organization-page"), "OrganizationPage"),
});

const members = createRoute({
  getParentRoute: () => settings,
  path: "/members",
  component: lazyRouteComponent(() => import("@/features/settings/members-page"), "MembersPage"),
});

const domains = createRoute({
  getParentRoute: () => settings,
  path: "/domains",
  component: lazyRouteComponent(() => import("@/features/settings/domains-page"), "DomainsPage"),
});

const apiKeys = createRoute({
  getParentRoute: () => settings,
  path: "/api-keys",
  component: lazyRouteComponent(() => import("@/features/settings/api-keys-page"), "ApiKeysPage"),
});

const sso = createRoute({
  getParentRoute: () => settings,
  path: "/sso",
  component: lazyRouteComponent(() => import("@/features/settings/sso-page"), "SsoPage"),
});

const languageModel = createRoute({
  getParentRoute: () => settings,
  path: "/model",
  component: lazyRouteComponent(() => import("@/features/settings/model-page"), "ModelPage"),
});

const usage = createRoute({
  getParentRoute: () => settings,
  path: "/usage",
  component: lazyRouteComponent(() => import("@/features/settings/usage-page"), "UsagePage"),
});

const audit = createRoute({
  getParentRoute: () => settings,
  path: "/audit",
  component: lazyRouteComponent(() => import("@/features/settings/audit-page"), "AuditPage"),
});

export const router = createRouter({
  routeTree: root.addChildren([
    login,
    signup,
    forgotPassword,
    resetPassword,
    verifyEmail,
    invitation,
    welcome,
    noAccess,
    app.addChildren([
      home,
      pipelines,
      newPipeline,
      pipeline,
      runs,
      run,
      approvals,
      approval,
      connectors,
      newConnector,
      connector,
      sources,
      repositories,
      newSource,
      sourceBuilder,
      source,
      files,
      agent,
      agentConversation,
      settings.addChildren([
        settingsHome,
        account,
        security,
        organization,
        members,
        domains,
        apiKeys,
        sso,
        languageModel,
        usage,
        audit,
      ]),
    ]),
  ]),
  defaultPreload: "intent",
  scrollRestoration: true,
});

let organizationId: string | undefined;

// The panel's conversation belongs to one organization, so close the panel after a switch to another one.
onSessionChange(() => {
  const state = currentSession();
  const openedId = state.status === "logged-in" ? state.session.organization?.id : undefined;
  if (organizationId !== undefined && openedId !== organizationId) resetAgentPanel();
  organizationId = openedId ?? organizationId;
});

// Show the log-in page if the session ends while a page is open, for example by a log-out in another tab.
onSessionChange(() => {
  if (currentSession().status !== "anonymous") return;
  queryClient.clear();
  void router.invalidate();
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
