import { liveKindInWords } from "@/api/run-status";
import { memo, type MouseEvent } from "react";
import type { PipelineRow, RecentRun } from "@/api/types";
import { classNames } from "@/components/class-names";
import { ConnectorLogo } from "@/components/connector-logo";
import { ArrowIcon, PlayIcon } from "@/components/icons";
import { RelativeTime } from "@/components/relative-time";
import { StatusBadge } from "@/components/status";
import { Name } from "@/components/name";
import { formatDuration } from "@/format/duration";
import { formatCount } from "@/format/number";
import { scheduleInWords } from "@/format/schedule";
import { absoluteTime } from "@/format/time";
import { streamsInWords, Tag } from "./route-line";
import { notRunnableReason } from "./run-button";
import { COLUMNS } from "./columns";
import { FreshnessLabel } from "./freshness-label";
import { RunStrip } from "./run-strip";

interface LineProps {
  row: PipelineRow;
  runs: RecentRun[] | undefined;
  sourceName: string;
  destinationName: string;
  isActive: boolean;
  isSelected: boolean;
  canSelect: boolean;
  canRun: boolean;
  /** It must not change between renders, so that a line is rendered only when it changes. */
  onSelect: (id: string, range: boolean) => void;
}

/**
 * The cells of a pipeline's line. On narrow screens they are in two lines. The links and buttons are plain ones, and the
 * list handles their clicks: hundreds of links of the router would make scrolling slow.
 */
export const PipelineCells = memo(function PipelineCells(props: LineProps) {
  const { row, isActive } = props;
  const tabIndex = isActive ? undefined : -1;
  return (
    <>
      <div role="gridcell" className={COLUMNS.check.className}>
        {props.canSelect && <SelectBox {...props} tabIndex={tabIndex} />}
      </div>
      <div role="gridcell" className={COLUMNS.route.className}>
        <ConnectorLogo kind={row.source_kind} label={`From ${props.sourceName}`} />
        <ArrowIcon className="shrink-0 text-faint" width="12" height="12" />
        <ConnectorLogo kind={row.destination_kind} label={`To ${props.destinationName}`} />
      </div>
      <div role="gridcell" className={COLUMNS.name.className}>
        <a
          href={`/pipelines/${row.id}`}
          title={row.name}
          dir="auto"
          tabIndex={tabIndex}
          className={classNames(
            "truncate text-left font-medium hover:underline",
            !row.enabled && "text-faint",
          )}
        >
          {row.name}
        </a>
      </div>
      <div role="gridcell" className={COLUMNS.streams.className} title={streamsInWords(row)}>
        {streamsInWords(row)}
      </div>
      <div role="gridcell" className={COLUMNS.labels.className} title={labelsInWords(row)}>
        {row.domain && <Name cut>{row.domain.name}</Name>}
        {row.tags.map((tag) => (
          <button
            type="button"
            key={tag}
            data-tag={tag}
            title={`Only pipelines tagged ${tag}`}
            tabIndex={tabIndex}
            className="flex shrink-0"
          >
            <Tag>{tag}</Tag>
          </button>
        ))}
      </div>
      <div role="gridcell" className={COLUMNS.schedule.className} title={scheduleInWords(row.schedule)}>
        {scheduleInWords(row.schedule)}
      </div>
      <div role="gridcell" className={COLUMNS.next.className}>
        <RelativeTime time={row.enabled ? row.next_run_at : null} />
      </div>
      <div role="gridcell" className={COLUMNS.runs.className}>
        <RunStrip runs={props.runs} />
      </div>
      <div role="gridcell" className={COLUMNS.last.className}>
        <LastRun row={row} tabIndex={tabIndex} />
      </div>
      <div role="gridcell" className={COLUMNS.duration.className}>
        {row.last_run?.duration_seconds != null && formatDuration(row.last_run.duration_seconds)}
      </div>
      <div role="gridcell" className={COLUMNS.freshness.className}>
        <FreshnessLabel row={row} />
      </div>
      <div role="gridcell" className={COLUMNS.action.className}>
        {props.canRun && <RunIcon row={row} tabIndex={tabIndex} />}
      </div>
    </>
  );
});

function labelsInWords({ domain, tags }: PipelineRow): string {
  return [...(domain ? [domain.name] : []), ...tags].join(", ");
}

function SelectBox({ row, isSelected, onSelect, tabIndex }: LineProps & { tabIndex?: number }) {
  function select(event: MouseEvent) {
    event.stopPropagation();
    onSelect(row.id, event.shiftKey);
  }
  return (
    <label
      className="-m-2 flex cursor-pointer p-2"
      onClick={(event) => event.target instanceof HTMLInputElement || event.stopPropagation()}
    >
      <input
        type="checkbox"
        aria-label={`Select ${row.name}`}
        checked={isSelected}
        tabIndex={tabIndex}
        className="size-4 accent-live"
        onClick={select}
        onChange={() => undefined} // the click says whether the Shift key was held
      />
    </label>
  );
}

function RunIcon({ row, tabIndex }: { row: PipelineRow; tabIndex?: number }) {
  const reason = notRunnableReason(row);
  return (
    <button
      type="button"
      data-run={row.id}
      aria-label={`Run ${row.name}`}
      aria-disabled={reason ? true : undefined}
      title={reason ?? "Run"}
      tabIndex={tabIndex}
      className="flex size-6 items-center justify-center rounded-control text-soft hover:bg-picked hover:text-ink aria-disabled:opacity-55"
    >
      <PlayIcon />
    </button>
  );
}

function LastRun({ row, tabIndex }: { row: PipelineRow; tabIndex?: number }) {
  const run = row.last_run;
  if (!run) return <span className="text-faint">Never ran</span>;
  if (!run.id) return <StatusBadge status={run.status} />; // just started; the server has not sent the id yet
  const details = [
    run.finished_at && absoluteTime(run.finished_at),
    run.records !== null && `${formatCount(run.records)} records`,
  ];
  return (
    <a
      href={`/runs/${run.id}`}
      tabIndex={tabIndex}
      title={details.filter(Boolean).join(", ") || undefined}
      className="inline-flex rounded-full"
    >
      <span className="sr-only">Last run of {row.name}: </span>
      <StatusBadge status={run.status} label={liveKindInWords(run)} />
    </a>
  );
}
