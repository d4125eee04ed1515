import { TRIGGER_WORDS } from "@/api/status-words";
import type { RunRow } from "@/api/types";
import { isPlaceholder } from "@/format/service-account";
import { Name } from "./name";

type Starter = Pick<RunRow, "trigger" | "triggered_by" | "triggered_by_name">;

/** Who or what has started a run. The tooltip has the e-mail address of a person. */
export function StartedBy({ run }: { run: Starter }) {
  const { text, tooltip } = starterOf(run);
  return (
    <Name cut title={tooltip}>
      {text}
    </Name>
  );
}

/** Triggers that only an account has. The other ones Drover itself may have. */
const NEEDS_ACCOUNT = new Set<RunRow["trigger"]>(["manual", "api", "replay"]);

function starterOf({ trigger, triggered_by, triggered_by_name }: Starter): {
  text: string;
  tooltip?: string;
} {
  const word = TRIGGER_WORDS[trigger];
  if (triggered_by === null) {
    if (!NEEDS_ACCOUNT.has(trigger)) return { text: word };
    const tooltip = "The account was deleted, or an operator of this installation started the run.";
    return { text: `${word}, account unknown`, tooltip };
  }
  const name = triggered_by_name || triggered_by;
  const account = accountInWords(triggered_by, triggered_by_name);
  if (trigger === "api") return { text: `${word}, ${name}`, tooltip: `An API key of ${account}` };
  return { text: name, tooltip: account };
}

/** The name, which may be cut, with the address. The address of a service account is only a placeholder. */
function accountInWords(address: string, name: string | null): string {
  if (!name) return address;
  return isPlaceholder(address) ? `the service account ${name}` : `${name} (${address})`;
}
