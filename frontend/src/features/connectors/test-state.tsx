import type { ConnectorRow } from "@/api/types";
import { CheckIcon, CrossIcon } from "@/components/icons";
import { RelativeTime } from "@/components/relative-time";

type Tested = Pick<ConnectorRow, "check_ok" | "checked_at" | "worked_at">;

/** The newest proof that the saved settings work or not: the last test of them, or a run. */
export function TestState({ connector }: { connector: Tested }) {
  const { check_ok, checked_at, worked_at } = connector;
  const isRunNewer =
    worked_at !== null && (checked_at === null || Date.parse(worked_at) > Date.parse(checked_at));
  if (isRunNewer) return <Proof isGood words="Worked in a run" time={worked_at} />;
  if (check_ok === null) return <span className="text-faint">Not tested</span>;
  return <Proof isGood={check_ok} words={check_ok ? "Passed" : "Failed"} time={checked_at} />;
}

function Proof({ isGood, words, time }: { isGood: boolean; words: string; time: string | null }) {
  return (
    <span className="inline-flex flex-wrap items-center gap-x-1.5">
      {isGood ? <CheckIcon className="text-good" /> : <CrossIcon className="text-bad" />}
      <span className={isGood ? "" : "text-bad"}>{words}</span>
      <span className="text-soft">
        <RelativeTime time={time} />
      </span>
    </span>
  );
}
