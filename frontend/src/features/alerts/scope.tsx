import { Link } from "@tanstack/react-router";
import type { AlertRule } from "@/api/types";
import { Name } from "@/components/name";

export const SCOPE_WORDS: Record<AlertRule["scope"], string> = {
  org: "The whole organization",
  domain: "A domain",
  tag: "Pipelines with a tag",
  pipeline: "One pipeline",
};

/** For which pipelines the rule is. */
export function ScopeOf({ rule }: { rule: AlertRule }) {
  const { scope, scope_id, scope_name, tag } = rule;
  if (scope === "domain")
    return (
      <>
        The domain <Name>{scope_name}</Name>
      </>
    );
  if (scope === "tag")
    return (
      <>
        Pipelines with the tag <Name>{tag}</Name>
      </>
    );
  if (scope === "pipeline" && scope_id)
    return (
      <>
        The pipeline{" "}
        <Link to="/pipelines/$pipelineId" params={{ pipelineId: scope_id }} className="link">
          <Name>{scope_name}</Name>
        </Link>
      </>
    );
  return SCOPE_WORDS.org;
}
