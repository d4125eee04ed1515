import { useQuery } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { downloadFile } from "@/api/download";
import { queryKeys } from "@/api/query-keys";
import { Button } from "@/components/button";
import { showError } from "@/components/toast";
import { useHasPermission } from "@/session/use-session";
import { formatBytes, formatCount, countWithNoun } from "@/format/number";
import { membersQuery } from "@/api/members";
import { QueryContent, Section } from "@/components/section";

const LIMIT_LABELS = {
  rows_month: "Records this month",
  bytes_month: "Bytes this month",
  running: "Concurrent runs",
  pipelines: "Pipelines",
  members: "Members",
  file_bytes: "Uploaded files",
};
const MONTHLY_CONSEQUENCE =
  "At 100% runs stop at their last checkpoint, and new ones are refused until the next month or a higher limit. No record is lost.";
/** What happens when the limit is reached. */
const CONSEQUENCES = {
  rows_month: MONTHLY_CONSEQUENCE,
  bytes_month: MONTHLY_CONSEQUENCE,
  running: "Further runs wait for their turn.",
  pipelines: "At 100% no more pipelines can be created. The existing ones keep running.",
  members: "At 100% nobody else can be invited.",
  file_bytes: "At 100% uploads are refused. The existing files stay.",
};
const BYTE_LIMITS = ["bytes_month", "file_bytes"];
const DATA_LABELS = {
  logs: "Log lines",
  outputs: "Output files",
  events: "Events",
  runs: "Runs",
  audit: "Audit log",
};
const STATE_COLOURS = { ok: "fill-live", warning: "fill-wait", reached: "fill-bad" };

export function UsagePage() {
  const canExport = useHasPermission()("audit.view");
  const usage = useQuery({
    queryKey: queryKeys.usage,
    queryFn: () => unwrap(api.GET("/api/v1/org/usage")),
  });
  return (
    <QueryContent query={usage}>
      {({ limits, months, kept }) => (
        <>
          <Section
            title="Limits"
            description="Admins set these limits on the page Organization. The operator of this installation sets the limit of uploaded files."
          >
            <ul className="grid gap-4 sm:grid-cols-2">
              {limits.map(({ name, used, limit, state }) => {
                const format = BYTE_LIMITS.includes(name) ? formatBytes : formatCount;
                return (
                  <li key={name}>
                    <p className="flex justify-between gap-2">
                      <span>{LIMIT_LABELS[name]}</span>
                      <span className="tabular-nums">
                        {format(used)} {limit !== null && `of ${format(limit)}`}
                        {state !== "ok" && (
                          <span className={state === "reached" ? "ml-2 text-bad" : "ml-2 text-wait"}>
                            {state === "reached" ? "reached" : "nearly reached"}
                          </span>
                        )}
                      </span>
                    </p>
                    {limit !== null && (
                      <LimitBar label={LIMIT_LABELS[name]} used={used} limit={limit} state={state} />
                    )}
                    <p className="mt-1 text-xs text-faint">
                      {limit === null ? "No limit is set." : CONSEQUENCES[name]}
                    </p>
                  </li>
                );
              })}
            </ul>
          </Section>
          <Section title="Retention" description="Admins set on the page Organization how long data is kept.">
            <table className="table w-full border-collapse">
              <thead>
                <tr>
                  <th scope="col">Data</th>
                  <th scope="col">Kept for</th>
                  <th scope="col" className="text-right!">
                    Count
                  </th>
                  <th scope="col" className="text-right!">
                    Size
                  </th>
                </tr>
              </thead>
              <tbody>
                {kept.map((row) => (
                  <tr key={row.name}>
                    <td>{DATA_LABELS[row.name]}</td>
                    <td>{row.days === null ? "forever" : countWithNoun(row.days, "day")}</td>
                    <td className="text-right tabular-nums">{formatCount(row.rows)}</td>
                    <td className="text-right tabular-nums">
                      {row.bytes === null ? "" : formatBytes(row.bytes)}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Section>
          <Section
            title="By month"
            description="Records are counted while runs move them. Deleting a pipeline does not reduce these numbers."
            action={
              canExport && (
                <Button
                  onClick={() => void downloadFile("/api/v1/org/usage/export", "usage.csv").catch(showError)}
                >
                  Download CSV
                </Button>
              )
            }
          >
            {months.length === 0 ? (
              <p className="text-faint">No runs yet.</p>
            ) : (
              <table className="table w-full border-collapse">
                <thead>
                  <tr>
                    <th scope="col">Month</th>
                    <th scope="col" className="text-right!">
                      Runs
                    </th>
                    <th scope="col" className="text-right!">
                      Records
                    </th>
                    <th scope="col" className="text-right!">
                      Bytes
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {months.map((month) => (
                    <tr key={month.month}>
                      <td>{month.month.slice(0, 7)}</td>
                      <td className="text-right tabular-nums">{formatCount(month.runs)}</td>
                      <td className="text-right tabular-nums">{formatCount(month.rows)}</td>
                      <td className="text-right tabular-nums">{formatBytes(month.bytes)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            )}
          </Section>
          {canExport && <AgentSection />}
        </>
      )}
    </QueryContent>
  );
}

interface LimitBarProps {
  label: string;
  used: number;
  limit: number;
  state: keyof typeof STATE_COLOURS;
}

/** How much of a limit is used. */
function LimitBar({ label, used, limit, state }: LimitBarProps) {
  const most = Math.max(limit, 1);
  return (
    <>
      <meter className="sr-only" aria-label={label} min={0} max={most} value={used} />
      <svg viewBox="0 0 100 1" preserveAspectRatio="none" className="mt-1 h-1.5 w-full" aria-hidden>
        <rect width="100" height="1" className="fill-line" />
        <rect width={Math.min((100 * used) / most, 100)} height="1" className={STATE_COLOURS[state]} />
      </svg>
    </>
  );
}

/** What the members' conversations with the agent cost. Their texts are private. */
export function AgentSection() {
  const members = useQuery(membersQuery);
  const costs = useQuery({
    queryKey: queryKeys.conversationCosts,
    queryFn: () => unwrap(api.GET("/api/v1/org/conversations/by-member")),
  });
  const nameOf = (userId: string) => {
    const member = members.data?.results.find(({ user_id }) => user_id === userId);
    return member ? member.email || member.name : "Former member";
  };
  return (
    <Section
      title="Agent by member"
      description="The conversations that were not deleted are counted. Only their members can read them."
    >
      <QueryContent query={costs}>
        {({ members: rows }) =>
          rows.length === 0 ? (
            <p className="text-faint">Nobody has written to the agent yet.</p>
          ) : (
            <div className="overflow-x-auto">
              <table className="table w-full border-collapse">
                <thead>
                  <tr>
                    <th scope="col">Member</th>
                    {["Conversations", "Messages", "Input tokens", "Output tokens"].map((label) => (
                      <th key={label} scope="col" className="text-right!">
                        {label}
                      </th>
                    ))}
                  </tr>
                </thead>
                <tbody>
                  {rows.map((row) => (
                    <tr key={row.user_id}>
                      <td className="wrap-anywhere">{members.data ? nameOf(row.user_id) : ""}</td>
                      {[row.conversations, row.turns, row.input_tokens, row.output_tokens].map(
                        (count, column) => (
                          <td key={column} className="text-right tabular-nums">
                            {formatCount(count)}
                          </td>
                        ),
                      )}
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </QueryContent>
    </Section>
  );
}
