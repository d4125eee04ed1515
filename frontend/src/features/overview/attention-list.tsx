import { Link } from "@tanstack/react-router";
import type { AttentionItem, Overview } from "@/api/types";
import { classNames } from "@/components/class-names";
import { CheckIcon } from "@/components/icons";
import { Skeletons } from "@/components/notice";
import { RelativeTime } from "@/components/relative-time";
import { StatusBadge } from "@/components/status";
import { failureClassLabel } from "@/format/failure-class";
import { useReadOnlyReason } from "@/session/use-session";
import { FixButton } from "./fix-button";

const KINDS: Record<AttentionItem["kind"], { label: string; className: string }> = {
  failing: { label: "Failing", className: "bg-bad-wash text-bad" },
  limit_reached: { label: "Limit reached", className: "bg-bad-wash text-bad" },
  late: { label: "Late", className: "bg-wait-wash text-wait" },
  connector: { label: "Connector", className: "bg-bad-wash text-bad" },
  approval: { label: "Approval", className: "bg-live-wash text-live" },
  changes: { label: "Changes", className: "bg-live-wash text-live" },
  streams: { label: "New streams", className: "bg-live-wash text-live" },
  limit_near: { label: "Limit", className: "bg-wait-wash text-wait" },
};

export interface ListProps {
  overview: Overview | undefined;
  /** Whether nothing needs attention, so that the list needs little room. */
  isCompact: boolean;
}

/** What needs a person, the most urgent first. It scrolls inside, so that the page does not move when it changes. */
export function AttentionList({ overview, isCompact }: ListProps) {
  const items = overview?.attention ?? [];
  return (
    <section
      aria-labelledby="attention-title"
      className={classNames("card flex min-w-0 flex-col overflow-hidden", isCompact ? "h-36" : "h-96")}
    >
      <h2 id="attention-title" className="border-b border-line px-4 py-2.5 font-semibold">
        Needs attention{" "}
        {items.length > 0 && (
          <span className="font-normal text-faint tabular-nums">
            {items.length}
            {overview?.attention_has_more && "+"}
          </span>
        )}
      </h2>
      {!overview && <Skeletons />}
      {overview && items.length === 0 && <NothingToDo />}
      {items.length > 0 && (
        <ul
          tabIndex={0}
          aria-labelledby="attention-title"
          className="relative divide-y divide-line overflow-y-auto"
        >
          {items.map((item) => (
            <Attention key={`${item.kind} ${item.id}`} item={item} />
          ))}
        </ul>
      )}
    </section>
  );
}

function Attention({ item }: { item: AttentionItem }) {
  const readOnlyReason = useReadOnlyReason();
  const fixes = item.fixes.filter(
    ({ action }) => readOnlyReason === null || (action !== "retry" && action !== "run"),
  );
  const [best, second] = fixes;
  return (
    <li className="flex flex-wrap items-start gap-x-3 gap-y-2 px-4 py-2.5 @lg:flex-nowrap">
      <div className="min-w-0 flex-1 basis-64">
        <p className="flex min-w-0 items-center gap-2">
          <KindBadge item={item} />
          <span dir="auto" className="truncate text-left font-medium" title={item.name}>
            {item.pipeline_id ? (
              <Link
                to="/pipelines/$pipelineId"
                params={{ pipelineId: item.pipeline_id }}
                className="hover:underline"
              >
                {item.name}
              </Link>
            ) : (
              item.name
            )}
          </span>
          {item.since && (
            <span className="ml-auto shrink-0 text-xs text-faint @lg:ml-0">
              <RelativeTime time={item.since} />
            </span>
          )}
        </p>
        <p className="mt-0.5 line-clamp-2 text-[0.8125rem] wrap-anywhere text-soft" title={item.cause}>
          {item.failure_class && <b className="font-medium">{failureClassLabel(item.failure_class)}: </b>}
          {item.cause}
        </p>
      </div>
      <div className="flex shrink-0 flex-wrap items-start justify-end gap-1.5">
        {item.retrying && <StatusBadge status="running" label="Running again" className="mt-0.5" />}
        {second && <FixButton fix={second} name={item.name} quiet />}
        {best && <FixButton fix={best} name={item.name} />}
      </div>
    </li>
  );
}

function KindBadge({ item }: { item: AttentionItem }) {
  const { label, className } = KINDS[item.kind];
  return (
    <span
      className={classNames(
        "inline-flex h-5 shrink-0 items-center rounded-full px-2 text-xs font-medium",
        className,
      )}
    >
      {label}
    </span>
  );
}

function NothingToDo() {
  return (
    <div className="flex flex-1 items-center gap-3 px-4 text-soft">
      <CheckIcon className="size-6 shrink-0 text-good" />
      <div>
        <p className="font-medium text-ink">Nothing needs attention</p>
        <p>Failing and late pipelines, decisions and limits are listed here.</p>
      </div>
    </div>
  );
}
