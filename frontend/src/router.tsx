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
import { currentSession, onSessionChange, openSession, resumeSession } from "@/api/session";
import { Toasts } from "@/components/toast";
import { LoginAgain } from "@/features/sign-in/login-again";
import { LoginPage } from "@/features/sign-in/login-page";
import { SignupPage } from "@/features/sign-in/signup-page";
import { parseChannelSearch, parseDeliverySearch, parseRuleSearch } from "@/features/alerts/search";
import { parseFileFilter } from "@/features/files/filter";
import { parseConnectorFilter, parseConnectorSearch, parseNewConnector } from "@/features/connectors/filter";
import { parseTextFilter } from "@/format/parameter";
import { parseOverviewFilter } from "@/features/overview/filter";
import { parseDataSearch } from "@/features/pipelines/data-search";
import { parsePipelineSearch } from "@/features/pipelines/list/filter";
import { parseSettingSearch } from "@/features/pipelines/configuration/setting-search";
import { parseVersionSearch } from "@/features/pipelines/version-search";
import { overviewQuery, timelineQuery } from "@/features/overview/queries";
import { parseRunFilter, parseRunSearch } from "@/features/runs/filter";
import { parseAuditFilter } from "@/features/settings/audit-filter";
import { parseKeyFilter } from "@/features/settings/keys/key-filter";
import { parseMemberFilter } from "@/features/settings/people/member-filter";
import { parseSourceFilter } from "@/features/sources/filter";
import { parseStart } from "@/features/start/start";
import { forgetKept } from "@/components/use-kept";
import { CodeBoundary, CodeNotLoadedNotice } from "@/components/code-boundary";
import { AppErrorPage, NotFound, NotFoundPage, RouteErrorPage } from "@/components/error-pages";
import { loadCode } from "@/components/lazy-code";
import { noteNavigation } from "@/components/page";
import { Shell } from "@/features/shell/shell";
import { withPermission } from "./permission-gate";
import { queryClient } from "./query-client";
import { isSameSitePath } from "./session/same-site-path";

/** A page whose code is loaded when it is opened. */
function lazyPage<Module extends Record<string, unknown>, Name extends keyof Module & string>(
  load: () => Promise<Module>,
  name: Name,
) {
  return lazyRouteComponent(loadCode(load), name);
}

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
  errorComponent: AppErrorPage,
});

function parseNext(search: Record<string, unknown>): { next?: string } {
  const { next } = search;
  return isSameSitePath(next) ? { next } : {};
}

function parseLogin(search: Record<string, unknown>): { next?: string; problem?: string } {
  const { problem } = search;
  return { ...parseNext(search), ...(typeof problem === "string" ? { problem } : {}) };
}

/** Opens the wanted page instead of a form for people who have a session already. */
async function skipIfLoggedIn({ search }: { search: { next?: string; problem?: string } }) {
  // A log-in through a provider has failed, or still requires a second factor.
  if (search.problem !== undefined || globalThis.location.hash) return;
  // Without an answer of the server, show the form.
  if (currentSession().status === "unknown") await resumeSession().catch(() => undefined);
  if (currentSession().status === "logged-in") throw redirect({ href: search.next ?? "/", replace: true });
}

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  validateSearch: parseLogin,
  beforeLoad: skipIfLoggedIn,
  component: LoginPage,
});

const forgotPassword = createRoute({
  getParentRoute: () => root,
  path: "/forgot-password",
  component: lazyPage(() => import("@/features/sign-in/mailed-pages"), "ForgotPasswordPage"),
});

const resetPassword = createRoute({
  getParentRoute: () => root,
  path: "/reset-password",
  component: lazyPage(() => import("@/features/sign-in/mailed-pages"), "ResetPasswordPage"),
});

const verifyEmail = createRoute({
  getParentRoute: () => root,
  path: "/verify-email",
  component: lazyPage(() => import("@/features/sign-in/mailed-pages"), "VerifyEmailPage"),
});

const invitation = createRoute({
  getParentRoute: () => root,
  path: "/invitation",
  component: lazyPage(() => import("@/features/sign-in/invitation-page"), "InvitationPage"),
});

const welcome = createRoute({
  getParentRoute: () => root,
  path: "/welcome",
  component: lazyPage(() => import("@/features/sign-in/after-login-pages"), "WelcomePage"),
});

const noAccess = createRoute({
  getParentRoute: () => root,
  path: "/no-access",
  beforeLoad: requireSession,
  component: lazyPage(() => import("@/features/sign-in/after-login-pages"), "NoAccessPage"),
});

async function requireSession({ location }: { location: { href: string } }) {
  if (currentSession().status === "unknown") await resumeSession();
  const state = currentSession();
  if (openSession() === null) {
    // After a log-out somebody else may log in, so the log-in page gets no address to return to.
    const hasLoggedOut = state.status === "anonymous" && state.hasLoggedOut;
    const next = location.href === "/" || hasLoggedOut ? {} : { next: location.href };
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
  beforeLoad: skipIfLoggedIn,
  component: SignupPage,
});

const AgentPanel = lazy(
  loadCode(() => import("@/features/agent/agent-panel").then(({ AgentPanel }) => ({ default: AgentPanel }))),
);

/** The frame of all pages, with the agent's panel. Its code is loaded when the panel is opened for the first time. */
function AppLayout() {
  const agentPanel = (
    <CodeBoundary fallback={<CodeNotLoadedNotice />}>
      <Suspense fallback={null}>
        <AgentPanel />
      </Suspense>
    </CodeBoundary>
  );
  return (
    <>
      <Shell agentPanel={agentPanel} />
      <LoginAgain />
    </>
  );
}

const app = createRoute({
  getParentRoute: () => root,
  id: "app",
  beforeLoad: async ({ location }) => {
    await requireSession({ location });
    const organization = openSession()?.organization ?? null;
    const isClosed = !organization || organization.closed !== null;
    if (isClosed && !ACCOUNT_PATHS.includes(location.pathname)) throw redirect({ to: "/no-access" });
  },
  component: AppLayout,
  errorComponent: AppErrorPage,
});

const home = createRoute({
  getParentRoute: () => app,
  path: "/",
  validateSearch: parseOverviewFilter,
  loaderDeps: ({ search }) => search,
  // The page's data and its code are loaded at the same time.
  loader: ({ deps }) => {
    void queryClient.prefetchQuery(overviewQuery);
    void queryClient.prefetchQuery(timelineQuery(deps));
  },
  component: lazyPage(() => import("@/features/overview/overview-page"), "OverviewPage"),
});

const pipelines = createRoute({
  getParentRoute: () => app,
  path: "/pipelines",
  validateSearch: parsePipelineSearch,
  component: lazyPage(() => import("@/features/pipelines/list/pipelines-page"), "PipelinesPage"),
});

const start = createRoute({
  getParentRoute: () => app,
  path: "/start",
  validateSearch: parseStart,
  component: withPermission(
    {
      permission: "pipelines.edit",
      title: "Load your first data",
      action: "create pipelines",
      edits: true,
    },
    lazyPage(() => import("@/features/start/start-page"), "StartPage"),
  ),
});

const newPipeline = createRoute({
  getParentRoute: () => app,
  path: "/pipelines/new",
  component: withPermission(
    { permission: "pipelines.edit", title: "New pipeline", action: "create pipelines", edits: true },
    lazyPage(() => import("@/features/new-pipeline/new-pipeline-page"), "NewPipelinePage"),
  ),
});

const pipeline = createRoute({
  getParentRoute: () => app,
  path: "/pipelines/$pipelineId",
  component: lazyPage(() => import("@/features/pipelines/pipeline-page"), "PipelinePage"),
});

const pipelineRuns = createRoute({
  getParentRoute: () => pipeline,
  path: "/",
  component: lazyPage(() => import("@/features/pipelines/runs-tab"), "RunsTab"),
});

const pipelineData = createRoute({
  getParentRoute: () => pipeline,
  path: "/data",
  validateSearch: parseDataSearch,
  component: lazyPage(() => import("@/features/pipelines/data-tab"), "DataTab"),
});

const pipelineConfiguration = createRoute({
  getParentRoute: () => pipeline,
  path: "/configuration",
  validateSearch: parseSettingSearch,
  component: lazyPage(() => import("@/features/pipelines/configuration-tab"), "ConfigurationTab"),
});

const pipelineSchedule = createRoute({
  getParentRoute: () => pipeline,
  path: "/schedule",
  component: lazyPage(() => import("@/features/pipelines/schedule-tab"), "ScheduleTab"),
});

const pipelineVersions = createRoute({
  getParentRoute: () => pipeline,
  path: "/versions",
  validateSearch: parseVersionSearch,
  component: lazyPage(() => import("@/features/pipelines/versions-tab"), "VersionsTab"),
});

const pipelineState = createRoute({
  getParentRoute: () => pipeline,
  path: "/state",
  component: lazyPage(() => import("@/features/pipelines/state-tab"), "StateTab"),
});

const dependencies = createRoute({
  getParentRoute: () => app,
  path: "/dependencies",
  component: lazyPage(
    () => import("@/features/pipelines/dependencies/dependencies-page"),
    "DependenciesPage",
  ),
});

const runs = createRoute({
  getParentRoute: () => app,
  path: "/runs",
  validateSearch: parseRunFilter,
  component: lazyPage(() => import("@/features/runs/runs-page"), "RunsPage"),
});

const queue = createRoute({
  getParentRoute: () => app,
  path: "/queue",
  component: lazyPage(() => import("@/features/runs/queue-page"), "QueuePage"),
});

const run = createRoute({
  getParentRoute: () => app,
  path: "/runs/$runId",
  validateSearch: parseRunSearch,
  component: lazyPage(() => import("@/features/runs/run-page"), "RunPage"),
});

const runComparison = createRoute({
  getParentRoute: () => app,
  path: "/runs/$runId/compare/$otherId",
  component: lazyPage(() => import("@/features/runs/comparison/comparison-page"), "ComparisonPage"),
});

const AGENT_GATE = { permission: "agent.use", title: "Agent", action: "use the agent" } as const;
const APPROVAL_GATE = {
  permission: "api_keys.own",
  title: "Requests of programs",
  action: "create API keys, whose requests are decided here",
} as const;

const approvals = createRoute({
  getParentRoute: () => app,
  path: "/approvals",
  validateSearch: parseTextFilter,
  component: withPermission(
    APPROVAL_GATE,
    lazyPage(() => import("@/features/approvals/approvals-page"), "ApprovalsPage"),
  ),
});

const approval = createRoute({
  getParentRoute: () => app,
  path: "/approvals/$requestId",
  component: withPermission(
    APPROVAL_GATE,
    lazyPage(() => import("@/features/approvals/approval-page"), "ApprovalPage"),
  ),
});

const connectors = createRoute({
  getParentRoute: () => app,
  path: "/connectors",
  validateSearch: parseConnectorFilter,
  component: lazyPage(() => import("@/features/connectors/connectors-page"), "ConnectorsPage"),
});

const newConnector = createRoute({
  getParentRoute: () => app,
  path: "/connectors/new",
  validateSearch: parseNewConnector,
  component: lazyPage(() => import("@/features/connectors/new-connector-page"), "NewConnectorPage"),
});

const connector = createRoute({
  getParentRoute: () => app,
  path: "/connectors/$connectorId",
  validateSearch: parseConnectorSearch,
  component: lazyPage(() => import("@/features/connectors/connector-page"), "ConnectorPage"),
});

const sources = createRoute({
  getParentRoute: () => app,
  path: "/sources",
  validateSearch: parseSourceFilter,
  component: lazyPage(() => import("@/features/sources/sources-page"), "SourcesPage"),
});

const newSource = createRoute({
  getParentRoute: () => app,
  path: "/sources/new",
  component: lazyPage(() => import("@/features/sources/new-source-page"), "NewSourcePage"),
});

const repositories = createRoute({
  getParentRoute: () => app,
  path: "/sources/repositories",
  validateSearch: parseTextFilter,
  component: lazyPage(() => import("@/features/sources/repositories-page"), "RepositoriesPage"),
});

const sourceBuilder = createRoute({
  getParentRoute: () => app,
  path: "/sources/builder/{-$conversationId}", // without an id it is a new conversation
  component: lazyPage(() => import("./source-builder-route"), "SourceBuilderRoute"),
});

const source = createRoute({
  getParentRoute: () => app,
  path: "/sources/$sourceId",
  component: lazyPage(() => import("@/features/sources/source-page"), "SourcePage"),
});

const files = createRoute({
  getParentRoute: () => app,
  path: "/files",
  validateSearch: parseFileFilter,
  component: lazyPage(() => import("@/features/files/files-page"), "FilesPage"),
});

const alerts = createRoute({
  getParentRoute: () => app,
  path: "/alerts",
  component: withPermission(
    { permission: "alerts.edit", title: "Alerts", action: "edit alerts" },
    lazyPage(() => import("@/features/alerts/alerts-layout"), "AlertsLayout"),
  ),
});

const alertRules = createRoute({
  getParentRoute: () => alerts,
  path: "/",
  validateSearch: parseRuleSearch,
  component: lazyPage(() => import("@/features/alerts/rules-tab"), "RulesTab"),
});

const openAlerts = createRoute({
  getParentRoute: () => alerts,
  path: "/open",
  component: lazyPage(() => import("@/features/alerts/open-tab"), "OpenTab"),
});

const alertChannels = createRoute({
  getParentRoute: () => alerts,
  path: "/channels",
  validateSearch: parseChannelSearch,
  component: lazyPage(() => import("@/features/alerts/channels-tab"), "ChannelsTab"),
});

const alertDeliveries = createRoute({
  getParentRoute: () => alerts,
  path: "/deliveries",
  validateSearch: parseDeliverySearch,
  component: lazyPage(() => import("@/features/alerts/deliveries-tab"), "DeliveriesTab"),
});

const freshnessPages = createRoute({
  getParentRoute: () => alerts,
  path: "/freshness-pages",
  component: withPermission(
    { permission: "settings.edit", title: "Freshness pages", action: "edit the settings", isSetting: true },
    lazyPage(() => import("@/features/alerts/freshness-pages/freshness-pages-tab"), "FreshnessPagesTab"),
  ),
});

const agent = createRoute({
  getParentRoute: () => app,
  path: "/agent",
  validateSearch: parseTextFilter,
  component: withPermission(
    AGENT_GATE,
    lazyPage(() => import("@/features/agent/agent-page"), "AgentPage"),
  ),
});

const agentConversation = createRoute({
  getParentRoute: () => app,
  path: "/agent/$conversationId",
  validateSearch: parseTextFilter,
  component: withPermission(
    AGENT_GATE,
    lazyPage(() => import("@/features/agent/agent-page"), "AgentConversationPage"),
  ),
});

const settings = createRoute({
  getParentRoute: () => app,
  path: "/settings",
  component: lazyPage(() => import("@/features/settings/settings-layout"), "SettingsLayout"),
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
  component: lazyPage(() => import("@/features/settings/account-page"), "AccountPage"),
});

const security = createRoute({
  getParentRoute: () => settings,
  path: "/security",
  component: lazyPage(() => import("@/features/settings/security-page"), "SecurityPage"),
});

const organization = createRoute({
  getParentRoute: () => settings,
  path: "/organization",
  component: lazyPage(() => import("@/features/settings/organization-page"), "OrganizationPage"),
});

const members = createRoute({
  getParentRoute: () => settings,
  path: "/members",
  validateSearch: parseMemberFilter,
  component: lazyPage(() => import("@/features/settings/people/members-page"), "MembersPage"),
});

const domains = createRoute({
  getParentRoute: () => settings,
  path: "/domains",
  validateSearch: parseTextFilter,
  component: lazyPage(() => import("@/features/settings/domains-page"), "DomainsPage"),
});

const apiKeys = createRoute({
  getParentRoute: () => settings,
  path: "/api-keys",
  validateSearch: parseKeyFilter,
  component: withPermission(
    { permission: "api_keys.own", title: "API keys", action: "create API keys", isSetting: true },
    lazyPage(() => import("@/features/settings/keys/api-keys-page"), "ApiKeysPage"),
  ),
});

const sso = createRoute({
  getParentRoute: () => settings,
  path: "/sso",
  component: withPermission(
    { permission: "settings.edit", title: "Single sign-on", action: "edit the settings", isSetting: true },
    lazyPage(() => import("@/features/settings/sso-page"), "SsoPage"),
  ),
});

const languageModel = createRoute({
  getParentRoute: () => settings,
  path: "/model",
  component: withPermission(
    { permission: "agent.use", title: "Language model", action: "use the agent", isSetting: true },
    lazyPage(() => import("@/features/settings/model-page"), "ModelPage"),
  ),
});

const usage = createRoute({
  getParentRoute: () => settings,
  path: "/usage",
  component: lazyPage(() => import("@/features/settings/usage-page"), "UsagePage"),
});

const audit = createRoute({
  getParentRoute: () => settings,
  path: "/audit",
  validateSearch: parseAuditFilter,
  component: withPermission(
    { permission: "audit.view", title: "Audit log", action: "view the audit log", isSetting: true },
    lazyPage(() => import("@/features/settings/audit-page"), "AuditPage"),
  ),
});

/** Pages for the developers of the front end. They are not part of a build. */
const developerPages = import.meta.env.DEV
  ? [
      createRoute({
        getParentRoute: () => app,
        path: "/dev/components",
        component: lazyPage(() => import("@/features/dev/components-page"), "ComponentsPage"),
      }),
    ]
  : [];

/** An address that no other route matches. It is shown inside the navigation. */
const unknownAddress = createRoute({ getParentRoute: () => app, path: "$", component: NotFound });

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
      start,
      newPipeline,
      pipeline.addChildren([
        pipelineRuns,
        pipelineData,
        pipelineConfiguration,
        pipelineSchedule,
        pipelineVersions,
        pipelineState,
      ]),
      dependencies,
      queue,
      runs,
      run,
      runComparison,
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
      alerts.addChildren([alertRules, openAlerts, alertChannels, alertDeliveries, freshnessPages]),
      agent,
      agentConversation,
      ...developerPages,
      unknownAddress,
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
  defaultErrorComponent: RouteErrorPage,
  scrollRestoration: true,
});

router.subscribe("onBeforeNavigate", ({ fromLocation }) => {
  if (fromLocation) noteNavigation();
});

let organizationId: string | undefined;
let userId: string | undefined;

// The panel's conversation belongs to one organization, so close the panel after a switch to another one.
onSessionChange(() => {
  const openedId = openSession()?.organization?.id;
  if (organizationId !== undefined && openedId !== organizationId) resetAgentPanel();
  organizationId = openedId ?? organizationId;
});

// Another user has logged in with this browser, so forget what the user before has loaded.
onSessionChange(() => {
  const openedId = openSession()?.user.id;
  if (openedId !== undefined && userId !== undefined && openedId !== userId) {
    queryClient.clear();
    resetAgentPanel();
    forgetKept();
  }
  userId = openedId ?? userId;
});

// Show the log-in page after a log-out, also in another tab. After the end of a session the page asks to log in again.
onSessionChange(() => {
  const state = currentSession();
  if (state.status !== "anonymous") return;
  if (state.hasLoggedOut) forgetKept();
  queryClient.clear();
  void router.invalidate();
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
