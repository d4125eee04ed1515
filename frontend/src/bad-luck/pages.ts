/** Every page, for tests of what all pages have in common when something goes wrong. */
import type { Permission } from "@/api/types";

export const ID = "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a11";
export const OTHER_ID = "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a12";

export interface Page {
  path: string;
  /** What the heading says while the page's item cannot be shown, if the page is about one item. */
  item?: string;
  /** The path of the list to which the page leads back if its item does not exist. */
  list?: string;
  /** Whether the page can be used before anything is loaded. */
  isStatic?: boolean;
}

/** The pages that load something for a user who is logged in. */
export const PAGES: Page[] = [
  { path: "/" },
  { path: "/pipelines" },
  { path: "/pipelines/new" },
  { path: "/start?sample=flights" },
  { path: `/pipelines/${ID}`, item: "pipeline", list: "/pipelines" },
  { path: `/pipelines/${ID}/data`, item: "pipeline", list: "/pipelines" },
  { path: `/pipelines/${ID}/configuration`, item: "pipeline", list: "/pipelines" },
  { path: `/pipelines/${ID}/schedule`, item: "pipeline", list: "/pipelines" },
  { path: `/pipelines/${ID}/versions`, item: "pipeline", list: "/pipelines" },
  { path: `/pipelines/${ID}/state`, item: "pipeline", list: "/pipelines" },
  { path: "/runs" },
  { path: `/runs/${ID}`, item: "run", list: "/runs" },
  { path: `/runs/${ID}/compare/${OTHER_ID}`, item: "comparison of runs", list: "/runs" },
  { path: "/approvals" },
  { path: `/approvals/${ID}`, item: "request", list: "/approvals" },
  { path: "/connectors" },
  { path: "/connectors/new?role=source&kind=postgres" },
  { path: `/connectors/${ID}`, item: "connector", list: "/connectors" },
  { path: "/sources" },
  { path: "/sources/new" },
  { path: "/sources/repositories" },
  { path: `/sources/builder/${ID}`, item: "conversation", list: "/agent" },
  { path: `/sources/${ID}`, item: "custom source", list: "/sources" },
  { path: "/dependencies" },
  { path: "/queue" },
  { path: "/files" },
  { path: "/alerts" },
  { path: "/alerts/open" },
  { path: "/alerts/channels" },
  { path: "/alerts/deliveries" },
  { path: "/alerts/freshness-pages" },
  { path: "/agent" },
  { path: `/agent/${ID}`, item: "conversation", list: "/agent" },
  { path: "/settings/account", isStatic: true },
  { path: "/settings/security" },
  { path: "/settings/organization" },
  { path: "/settings/members" },
  { path: "/settings/domains" },
  { path: "/settings/api-keys" },
  { path: "/settings/sso" },
  { path: "/settings/model" },
  { path: "/settings/usage" },
  { path: "/settings/audit" },
];

/** The permissions of an owner, so that every part of every page is shown. */
export const PERMISSIONS: Permission[] = [
  "org.delete",
  "org.transfer",
  "owners.manage",
  "org.update",
  "members.manage",
  "invitations.manage",
  "domains.manage",
  "api_keys.manage",
  "audit.view",
  "settings.edit",
  "connectors.edit",
  "custom_sources.edit",
  "pipelines.edit",
  "pipelines.delete",
  "pipelines.run",
  "runs.cancel",
  "state.edit",
  "alerts.edit",
  "data.view",
  "agent.use",
  "api_keys.own",
  "read",
];
