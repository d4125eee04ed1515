import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { channelsQuery } from "@/api/alerts";
import type { AlertDelivery } from "@/api/types";
import { Button } from "@/components/button";
import { FilterBar, FilterSelect, NoMatch } from "@/components/filter-bar";
import { Name } from "@/components/name";
import { EmptyState, ErrorNotice, Skeletons } from "@/components/notice";
import { PipelineSelect } from "@/components/pipeline-select";
import { RelativeTime } from "@/components/relative-time";
import { Section } from "@/components/section";
import { STACKED_ROW, STACKED_TABLE } from "@/components/stacked-table";
import { useReadOnlyReason } from "@/session/use-session";
import { DeliveryDialog } from "./delivery-dialog";
import { EventWords } from "./event-words";
import { DeliveryState, Outcome } from "./outcome";
import { deliveriesQuery } from "./queries";
import { ReplayButton } from "./replay-button";
import { parseDeliverySearch, STATE_WORDS, type DeliverySearch } from "./search";

export function DeliveriesTab() {
  const { delivery: opened, ...filter } = useSearch({
    from: "/app/alerts/deliveries",
    select: parseDeliverySearch,
  });
  const navigate = useNavigate({ from: "/alerts/deliveries" });
  const channels = useQuery(channelsQuery).data?.results ?? [];
  const query = useInfiniteQuery(deliveriesQuery(filter));
  const deliveries = query.data?.pages.flatMap(({ results }) => results) ?? [];
  const isEmpty = query.isSuccess && !query.isPlaceholderData && deliveries.length === 0;
  const ofPipeline = deliveries.find(({ event }) => event.pipeline?.id === filter.pipeline)?.event.pipeline;
  const change = (next: DeliverySearch) =>
    void navigate({ search: (current) => parseDeliverySearch({ ...current, ...next }) });
  const clear = () => void navigate({ search: {} });
  return (
    <Section
      title="Deliveries"
      description="Everything that was sent to the channels in the last 90 days, with the answers. What is not accepted is sent again for 24 hours."
    >
      <FilterBar items="deliveries" filter={{ q: undefined, ...filter }} onClear={clear}>
        <FilterSelect
          label="State"
          any="Any state"
          value={filter.state}
          words={STATE_WORDS}
          onChange={(state) => change({ state })}
        />
        <FilterSelect
          label="Channel"
          any="Any channel"
          value={filter.channel}
          words={Object.fromEntries(channels.map(({ id, name }) => [id, name]))}
          onChange={(channel) => change({ channel })}
        />
        <PipelineSelect
          aria-label="Pipeline"
          none="Any pipeline"
          className="control w-40!"
          value={filter.pipeline}
          name={ofPipeline?.name}
          onChange={(pipeline) => change({ pipeline: pipeline || undefined })}
        />
      </FilterBar>
      {query.isPending && <Skeletons rows={3} />}
      {query.isError && deliveries.length === 0 && (
        <ErrorNotice error={query.error} retry={() => void query.refetch()} />
      )}
      {deliveries.length > 0 && (
        <Table deliveries={deliveries} onOpen={({ id }) => change({ delivery: id })} />
      )}
      {isEmpty &&
        (Object.keys(filter).length > 0 ? (
          <NoMatch items="deliveries" onClear={clear} />
        ) : (
          <EmptyState title="Nothing was sent yet">
            When a rule opens an alert, each of its channels gets a message, which is listed here with the
            answer. Test a channel to see one now.
          </EmptyState>
        ))}
      {query.hasNextPage && (
        <div className="mt-3 text-center">
          <Button
            disabledReason={query.isFetchingNextPage ? "Loading" : null}
            onClick={() => void query.fetchNextPage()}
          >
            {query.isFetchingNextPage ? "Loading…" : "Load more"}
          </Button>
        </div>
      )}
      {opened && <DeliveryDialog key={opened} id={opened} onClose={() => change({ delivery: undefined })} />}
    </Section>
  );
}

interface TableProps {
  deliveries: AlertDelivery[];
  onOpen: (delivery: AlertDelivery) => void;
}

function Table({ deliveries, onOpen }: TableProps) {
  const isReadOnly = useReadOnlyReason() !== null;
  return (
    <div className="relative overflow-x-auto">
      <table className={`table w-full border-collapse ${STACKED_TABLE}`}>
        <thead>
          <tr>
            <th scope="col">Message</th>
            <th scope="col">State</th>
            <th scope="col" className="max-md:hidden">
              Answer
            </th>
            <th scope="col" className="text-right! max-lg:hidden">
              Attempts
            </th>
            <th scope="col">Created</th>
            <th scope="col">
              <span className="sr-only">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {deliveries.map((delivery) => (
            <tr key={delivery.id} className={STACKED_ROW}>
              <td className="wrap-anywhere max-sm:w-full">
                <button
                  type="button"
                  className="text-left font-medium hover:underline"
                  aria-haspopup="dialog"
                  onClick={() => onOpen(delivery)}
                >
                  <EventWords event={delivery.event} />
                </button>
                <p className="text-[0.8125rem] text-faint">
                  to <Name>{delivery.channel.name}</Name>
                </p>
              </td>
              <td>
                <DeliveryState {...delivery} />
              </td>
              <td className="wrap-anywhere text-soft max-md:hidden">
                <p className="line-clamp-2">
                  <Outcome delivery={delivery} />
                </p>
              </td>
              <td className="text-right tabular-nums max-lg:hidden">{delivery.attempts}</td>
              <td className="text-soft">
                <RelativeTime time={delivery.created_at} />
              </td>
              <td className="text-right">
                {!isReadOnly && <ReplayButton delivery={delivery} size="small" />}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
