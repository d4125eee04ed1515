import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { channelsQuery, rulesForQuery } from "@/api/alerts";
import type { AlertChannel, AlertRule } from "@/api/types";
import { Name } from "@/components/name";
import { QueryContent } from "@/components/section";

/** Which rules are for the pipeline, and to which channels they send. It is for members who may edit alerts. */
export function WhoIsTold({ pipelineId }: { pipelineId: string }) {
  const rules = useQuery(rulesForQuery(pipelineId));
  const channels = useQuery(channelsQuery).data?.results;
  return (
    <section aria-labelledby="alerts-title" className="card p-4">
      <h2 id="alerts-title" className="mb-2 font-semibold">
        Alerts
      </h2>
      <QueryContent query={rules}>
        {({ results }) => {
          const enabled = results.filter((rule) => rule.enabled);
          return (
            <ul className="mb-2 grid gap-1.5 text-[0.8125rem]">
              {enabled.length === 0 && <li className="text-soft">Nobody is told if it fails.</li>}
              {enabled.map((rule) => (
                <li key={rule.id} className="wrap-anywhere">
                  {rule.sentence}
                  {channels && (
                    <span className="text-soft">
                      {" → "}
                      <ChannelNames channels={channelsOf(rule, channels)} />
                    </span>
                  )}
                </li>
              ))}
            </ul>
          );
        }}
      </QueryContent>
      <Link to="/alerts" search={{ edit: "new", pipeline: pipelineId }} className="link text-[0.8125rem]">
        Create a rule for it
      </Link>
    </section>
  );
}

function channelsOf({ channel_ids }: AlertRule, channels: AlertChannel[]): AlertChannel[] {
  return channels.filter(({ id, enabled }) => enabled && channel_ids.includes(id));
}

function ChannelNames({ channels }: { channels: AlertChannel[] }) {
  if (channels.length === 0) return "no channel";
  return channels.map(({ id, name }, index) => (
    <span key={id}>
      {index > 0 && ", "}
      <Name>{name}</Name>
    </span>
  ));
}
