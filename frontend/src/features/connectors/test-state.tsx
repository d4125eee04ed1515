import type { ConnectorRow } from "@/api/types";
import { CheckIcon, CrossIcon } from "@/components/icons";
import { RelativeTime } from "@/components/relative-time";

/** The result of the last test of the saved settings. */
export function TestState({ connector }: { connector: Pick<ConnectorRow, "check_ok" | "checked_at"> }) {
  const { check_ok, checked_at } = connector;
  if (check_ok === null) return <span className="text-faint">Not tested</span>;
  return (
    <span className="inline-flex flex-wrap items-center gap-x-1.5">
      {check_ok ? <CheckIcon className="text-good" /> : <CrossIcon className="text-bad" />}
      <span className={check_ok ? "" : "text-bad"}>{check_ok ? "Passed" : "Failed"}</span>
      <span className="text-soft">
        <RelativeTime time={checked_at} />
      </span>
    </span>
  );
}
