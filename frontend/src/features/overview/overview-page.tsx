import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { LoadErrorPage } from "@/components/error-pages";
import { PageHeader } from "@/components/page";
import { useOrgEvents } from "@/live/org-events";
import { AttentionList } from "./attention-list";
import { FreshnessTiles } from "./freshness-tiles";
import { GuidedStart } from "./guided-start";
import { HourCharts } from "./hour-charts";
import { overviewQuery } from "./queries";
import { QueueList } from "./queue-list";
import { RunTimeline } from "./run-timeline";

/** The first page: whether the data is fresh, what needs attention, and what has run in the last 24 hours. */
export function OverviewPage() {
  useOrgEvents();
  const { data: overview, error, refetch } = useQuery(overviewQuery);
  // The queue changes all the time, so only what needs attention decides. It decides once: a pipeline that fails later must
  // not move the page.
  const [isCalm, setIsCalm] = useState<boolean>();
  if (overview && isCalm === undefined) setIsCalm(overview.attention.length === 0);
  const pipelines = overview && Object.values(overview.freshness).reduce((sum, count) => sum + count, 0);
  if (pipelines === 0) return <GuidedStart />;
  return (
    <div className="mx-auto grid max-w-[100rem] gap-3 px-4 py-5 md:px-6">
      <div className="-mb-3">
        <PageHeader title="Overview" />
      </div>
      {error && !overview ? (
        <LoadErrorPage error={error} retry={() => void refetch()} />
      ) : (
        <>
          <FreshnessTiles overview={overview} />
          <div className="grid gap-3 @4xl/page:grid-cols-[3fr_2fr]">
            <AttentionList overview={overview} isCompact={isCalm === true} />
            <QueueList overview={overview} isCompact={isCalm === true} />
          </div>
          {/* Not before it is known how tall the lists above are, so that nothing moves. */}
          {overview && (
            <>
              <RunTimeline pipelines={pipelines ?? 0} />
              <HourCharts overview={overview} />
            </>
          )}
        </>
      )}
    </div>
  );
}
