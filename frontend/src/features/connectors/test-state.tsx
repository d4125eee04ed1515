import type { ConnectorRow } from "@/api/types";
import { CheckIcon, CrossIcon } from "@/components/icons";
import { RelativeTime } from "@/components/relative-time";

type Tested = Pick<ConnectorRow, "check_ok" | "checked_at" | "worked_at">;

/** The newest proof that the saved settings work or not: the last test of them, or a run. */
export function TestState({ connector }: { connector: Tested }) {
  const { check_ok, checked_at, worked_at } = connector;
  const hasWorked = worked_at !== null && Date.parse(worked_at) > Date.parse(checked_at ?? "1970-01-01");
  if (check_ok === null && !hasWorked) return <span className="text-faint">Not tested</span>;
  const isGood = hasWorked || check_ok;
  return (
    <span className="inline-flex flex-wrap items-center gap-x-1.5">
      {isGood ? <CheckIcon className="text-good" /> : <CrossIcon className="text-bad" />}
      <span className={isGood ? "" : "text-bad"}>
        {hasWorked ? "Worked in a run" : check_ok ? "Passed" : "Failed"}
      </span>
      <span className="text-soft">
        <RelativeTime time={hasWorked ? worked_at : checked_at} />
      </span>
    </span>
  );
}
