import type { Permission } from "@/api/types";

export interface KeyedPage {
  /** Pressed after `g`. */
  key: string;
  to:
    "/" | "/pipelines" | "/runs" | "/connectors" | "/sources" | "/files" | "/alerts" | "/agent" | "/settings";
  label: string;
  permission?: Permission;
}

/** The pages of the navigation, with the keys that open them. */
export const PAGES: KeyedPage[] = [
  { key: "o", to: "/", label: "Overview" },
  { key: "p", to: "/pipelines", label: "Pipelines" },
  { key: "r", to: "/runs", label: "Runs" },
  { key: "n", to: "/connectors", label: "Connectors" },
  { key: "c", to: "/sources", label: "Custom sources" },
  { key: "f", to: "/files", label: "Files" },
  { key: "l", to: "/alerts", label: "Alerts", permission: "alerts.edit" },
  { key: "a", to: "/agent", label: "Agent", permission: "agent.use" },
  { key: "s", to: "/settings", label: "Settings" },
];

/** Whether somebody with these permissions may open the page. */
export function mayOpen({ permission }: KeyedPage, permissions: Permission[]): boolean {
  return permission === undefined || permissions.includes(permission);
}

/** The other keys, as they are listed for the user. */
export const OTHER_KEYS: { keys: string[]; label: string }[] = [
  { keys: ["Ctrl K", "⌘ K"], label: "Search, go to, run or create anything" },
  { keys: ["/"], label: "Search the list of the page" },
  { keys: ["j", "k"], label: "Next and previous row of a list; Enter opens it" },
  { keys: ["Space"], label: "Select in the list of pipelines; with Shift and an arrow key, several" },
  { keys: ["Ctrl J", "⌘ J"], label: "Open or close the agent" },
  { keys: ["?"], label: "Show these keys" },
  { keys: ["Esc"], label: "Close a dialog or a menu" },
];
