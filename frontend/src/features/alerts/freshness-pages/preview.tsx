import { useQuery } from "@tanstack/react-query";
import { FRESHNESS_WORDS } from "@/api/status-words";
import type { FreshnessPage, PublicContents } from "@/api/types";
import { CopyButton } from "@/components/copy-button";
import { FreshnessMark } from "@/components/freshness-mark";
import { Name } from "@/components/name";
import { RelativeTime } from "@/components/relative-time";
import { QueryContent } from "@/components/section";
import { badgeMarkdown } from "./badge-markdown";
import { previewQuery } from "./queries";

type Pipeline = PublicContents["pipelines"][number];
type Incident = PublicContents["incidents"][number];

const INCIDENT_WORDS: Record<Incident["kind"], string> = {
  failed: "Updates failed",
  late: "Late",
  no_new_data: "No new data",
};

/** What readers of the page see, whether or not it is public. */
export function Preview({ page }: { page: FreshnessPage }) {
  const preview = useQuery({ ...previewQuery(page.id), staleTime: 0 });
  return (
    <section aria-label={`Preview of ${page.title}`} className="mt-3 rounded-card border border-line p-4">
      <QueryContent query={preview}>
        {({ title, pipelines, incidents, incident_days }) => (
          <div className="grid gap-3">
            <h3 className="text-base font-semibold">
              <bdi>{title}</bdi>
            </h3>
            {pipelines.length === 0 ? (
              <p className="text-soft">The page is empty. Edit it, and add the pipelines to show.</p>
            ) : (
              <ul aria-label="Pipelines" className="divide-y divide-line">
                {pipelines.map((pipeline) => (
                  <li key={pipeline.id} className="py-2">
                    <PipelineLine pipeline={pipeline} page={page} />
                  </li>
                ))}
              </ul>
            )}
            <h4 className="font-medium">
              Incidents
              {incident_days > 0 && ` of the last ${incident_days === 1 ? "day" : `${incident_days} days`}`}
            </h4>
            {incidents.length === 0 ? (
              <p className="text-soft">No incidents.</p>
            ) : (
              <ul aria-label="Incidents" className="grid gap-1">
                {incidents.map((incident) => (
                  <li key={`${incident.pipeline_id} ${incident.kind} ${incident.opened_at}`}>
                    <bdi>{incident.pipeline_name}</bdi>: {INCIDENT_WORDS[incident.kind]},{" "}
                    <span className="text-soft">
                      began <RelativeTime time={incident.opened_at} />
                      {incident.closed_at ? (
                        <>
                          , ended <RelativeTime time={incident.closed_at} />
                        </>
                      ) : (
                        ", still open"
                      )}
                    </span>
                  </li>
                ))}
              </ul>
            )}
          </div>
        )}
      </QueryContent>
    </section>
  );
}

function PipelineLine({ pipeline, page }: { pipeline: Pipeline; page: FreshnessPage }) {
  const { id, name, freshness, updated_at } = pipeline;
  const badge = page.pipelines.find((entry) => entry.id === id)?.badge_url;
  return (
    <div className="flex flex-wrap items-center gap-x-4 gap-y-1">
      <Name className="min-w-0 flex-1 basis-40 font-medium">{name}</Name>
      <FreshnessMark freshness={freshness}>
        {freshness === "none" && !updated_at ? "No data yet" : FRESHNESS_WORDS[freshness]}
      </FreshnessMark>
      <span className="text-[0.8125rem] text-soft">
        {updated_at ? (
          <>
            Last update <RelativeTime time={updated_at} />
          </>
        ) : (
          "Not updated yet"
        )}
      </span>
      {badge && <CopyButton text={badgeMarkdown(name, badge, page.url)} label="Copy badge" />}
    </div>
  );
}
