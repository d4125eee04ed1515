import type { LinkProps } from "@tanstack/react-router";
import type { AlertDelivery } from "@/api/types";

/** What an event is about. */
export type Subject = NonNullable<AlertDelivery["event"]["subject"]>;

export const SUBJECT_WORDS: Record<Subject["kind"], string> = {
  pipeline: "Pipeline",
  limit: "Limit",
  api_key: "API key",
  connector: "Connector",
  runs: "Runs",
};

/** What the page of a subject is called in a link to it, in the words of `apps/alerts/words.py`. */
export const PAGE_WORDS: Record<Subject["kind"], string> = {
  pipeline: "pipeline",
  limit: "usage",
  api_key: "API keys",
  connector: "connector",
  runs: "queue",
};

/** The page that shows the subject. */
export function pageOf({ kind, id }: Subject): Pick<LinkProps, "to" | "params"> {
  switch (kind) {
    case "pipeline":
      return { to: "/pipelines/$pipelineId", params: { pipelineId: id } };
    case "connector":
      return { to: "/connectors/$connectorId", params: { connectorId: id } };
    case "api_key":
      return { to: "/settings/api-keys" };
    case "limit":
      return { to: "/settings/usage" };
    case "runs":
      return { to: "/queue" };
  }
}
