import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from "@tanstack/react-router";
import { currentSession, onSessionChange, resume } from "@/api/session";
import { Toasts } from "@/components/toast";
import { LoginPage } from "@/features/session/login-page";
import { SignupPage } from "@/features/session/signup-page";
import { PipelinesPage } from "@/features/pipelines/pipelines-page";
import { parsePipelineFilter } from "@/features/pipelines/filter";
import { parseRunFilter } from "@/features/runs/filter";
import { NotFoundPage, PageError } from "@/features/shell/error-pages";
import { Shell } from "@/features/shell/shell";
import { queryClient } from "./query-client";

function Frame() {
  return (
    <>
      <Outlet />
      <Toasts />
    </>
  );
}

const root = createRootRoute({
  component: Frame,
  notFoundComponent: NotFoundPage,
  errorComponent: PageError,
});

/** Only a path of our own: a full address here would let a link send people elsewhere. */
function parseNext(search: Record<string, unknown>): { next?: string } {
  const { next } = search;
  return typeof next === "string" && /^\/(?![/\\])/.test(next) ? { next } : {};
}

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  validateSearch: parseNext,
  component: LoginPage,
});

const signup = createRoute({
  getParentRoute: () => root,
  path: "/signup",
  validateSearch: parseNext,
  component: SignupPage,
});

const app = createRoute({
  getParentRoute: () => root,
  id: "app",
  beforeLoad: async ({ location }) => {
    if (currentSession().status === "unknown") await resume();
    if (currentSession().status !== "known") {
      const next = location.href === "/" ? {} : { next: location.href };
      throw redirect({ to: "/login", search: next });
    }
  },
  component: Shell,
  errorComponent: PageError,
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
  component: lazyRouteComponent(() => import("@/features/connect/new-pipeline-page"), "NewPipelinePage"),
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
  component: lazyRouteComponent(() => import("@/features/runs/run-page"), "RunPage"),
});

export const router = createRouter({
  routeTree: root.addChildren([
    login,
    signup,
    app.addChildren([home, pipelines, newPipeline, pipeline, runs, run]),
  ]),
  defaultPreload: "intent",
  scrollRestoration: true,
});

// A session that ends in the middle of a page (expired, logged out in another tab) leads to the log-in.
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
