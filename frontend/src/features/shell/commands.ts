import type { Permission } from "@/api/types";
import { isId } from "@/format/id";
import { PAGES } from "./keys";

/** Something that the palette offers. `to` is an address of the dashboard; `run` starts the pipeline with this id. */
export interface Command {
  id: string;
  group: "Go to" | "Create" | "Run" | "Pipelines" | "Connectors" | "Custom sources" | "Files" | "Runs" | "Do";
  label: string;
  hint?: string;
  to?: string;
  run?: string;
  act?: "agent" | "keys" | "theme-light" | "theme-dark" | "theme-system" | "copy-link";
  permission?: Permission;
}

const SETTINGS: [path: string, label: string, permission?: Permission][] = [
  ["account", "Account"],
  ["security", "Security"],
  ["organization", "Organization"],
  ["members", "Members"],
  ["domains", "Domains"],
  ["api-keys", "API keys", "api_keys.own"],
  ["sso", "Single sign-on", "settings.edit"],
  ["model", "Language model", "agent.use"],
  ["usage", "Usage"],
  ["audit", "Audit log", "audit.view"],
];

/** What is offered without asking the server. */
export const FIXED_COMMANDS: Command[] = [
  ...PAGES.map(({ key, to, label, permission }): Command => ({
    id: `go ${to}`,
    group: "Go to",
    label,
    hint: `g ${key}`,
    to,
    permission,
  })),
  ...SETTINGS.map(([path, label, permission]): Command => ({
    id: `go ${path}`,
    group: "Go to",
    label: `Settings: ${label}`,
    to: `/settings/${path}`,
    permission,
  })),
  { id: "go queue", group: "Go to", label: "Queue", to: "/queue" },
  { id: "go dependencies", group: "Go to", label: "Dependencies", to: "/dependencies" },
  {
    id: "go freshness pages",
    group: "Go to",
    label: "Freshness pages",
    to: "/alerts/freshness-pages",
    permission: "settings.edit",
  },
  {
    id: "new pipeline",
    group: "Create",
    label: "New pipeline",
    to: "/pipelines/new",
    permission: "pipelines.edit",
  },
  {
    id: "new connector",
    group: "Create",
    label: "New connector",
    to: "/connectors/new",
    permission: "connectors.edit",
  },
  {
    id: "new source",
    group: "Create",
    label: "New custom source",
    to: "/sources/new",
    permission: "custom_sources.edit",
  },
  { id: "agent", group: "Do", label: "Ask the agent", hint: "Ctrl J", act: "agent", permission: "agent.use" },
  { id: "copy", group: "Do", label: "Copy the link to this page", act: "copy-link" },
  { id: "keys", group: "Do", label: "Show the keys", hint: "?", act: "keys" },
  { id: "light", group: "Do", label: "Theme: light", act: "theme-light" },
  { id: "dark", group: "Do", label: "Theme: dark", act: "theme-dark" },
  { id: "system", group: "Do", label: "Theme: system", act: "theme-system" },
];

const RUN_PREFIX = /^run\s+/i;

/** The text that the server searches for. "run orders" searches for orders. */
export function searchText(text: string): string {
  return text.trim().replace(RUN_PREFIX, "");
}

/** The fixed commands that contain all words of the text, in any order. */
export function matchingCommands(text: string): Command[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return FIXED_COMMANDS.filter(({ group, label }) => {
    const searched = `${group} ${label}`.toLowerCase();
    return words.every((word) => searched.includes(word));
  });
}

/** A run is found by its id only. */
export function runCommand(text: string): Command[] {
  const id = text.trim();
  return isId(id) ? [{ id: `run ${id}`, group: "Runs", label: `Run ${id}`, to: `/runs/${id}` }] : [];
}

/** The rows that the server has found, as commands. With "run" before the name, pipelines are offered to be run first. */
export function foundCommands(
  text: string,
  found: {
    pipelines?: { id: string; name: string; domain: { id: string } | null }[];
    connectors?: { id: string; name: string }[];
    sources?: { id: string; name: string }[];
    files?: { id: string; name: string }[];
  },
  mayRun: (domainId: string | undefined) => boolean,
): Command[] {
  const pipelines = found.pipelines ?? [];
  const runs = pipelines
    .filter(({ domain }) => mayRun(domain?.id))
    .map(({ id, name }): Command => ({ id: `start ${id}`, group: "Run", label: `Run ${name}`, run: id }));
  const isAboutRuns = RUN_PREFIX.test(text);
  return [
    ...(isAboutRuns ? runs : []),
    ...pipelines.map(({ id, name }): Command => ({
      id: `pipeline ${id}`,
      group: "Pipelines",
      label: name,
      to: `/pipelines/${id}`,
    })),
    ...(isAboutRuns ? [] : runs),
    ...(found.connectors ?? []).map(({ id, name }): Command => ({
      id: `connector ${id}`,
      group: "Connectors",
      label: name,
      to: `/connectors/${id}`,
    })),
    ...(found.sources ?? []).map(({ id, name }): Command => ({
      id: `source ${id}`,
      group: "Custom sources",
      label: name,
      to: `/sources/${id}`,
    })),
    ...(found.files ?? []).map(({ id, name }): Command => ({
      id: `file ${id}`,
      group: "Files",
      label: name,
      to: `/files?q=${encodeURIComponent(name)}`,
    })),
  ];
}
