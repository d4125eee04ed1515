import type { FollowUp } from "@/api/types";

export const KINDS: Record<FollowUp["kind"], string> = {
  webhook: "Signed webhook",
  dbt_cloud: "Job of dbt Cloud",
};

export const AFTER: Record<FollowUp["after"], string> = {
  success: "After each success",
  end: "After each end, also after failures",
};
