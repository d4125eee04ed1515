import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { AlertRule, OpenAlert } from "@/api/types";
import { Button } from "@/components/button";
import { EmptyState, ErrorNotice, Skeletons } from "@/components/notice";
import { RelativeTime } from "@/components/relative-time";
import { Section } from "@/components/section";
import { useReadOnlyReason } from "@/session/use-session";
import { EventWords } from "./event-words";
import { openAlertsQuery } from "./queries";
import { SnoozeButton, SnoozedUntil } from "./snooze";
import { pageOf, PAGE_WORDS } from "./subject";

/** The alerts whose problem is not over. */
export function OpenTab() {
  const query = useInfiniteQuery(openAlertsQuery);
  const alerts = query.data?.pages.flatMap(({ results }) => results) ?? [];
  return (
    <Section
      title="Open alerts"
      description="An alert is open until its problem is over: for a pipeline, until a run has shown it. Snooze one that you know of: its channels are reminded at the end, if it is still open."
    >
      {query.isPending && <Skeletons rows={3} />}
      {query.isError && alerts.length === 0 && (
        <ErrorNotice error={query.error} retry={() => void query.refetch()} />
      )}
      {query.isSuccess && alerts.length === 0 && (
        <EmptyState title="No open alerts">No rule has found a problem that is not over.</EmptyState>
      )}
      <ul>
        {alerts.map((alert) => (
          <li key={alert.id} className="border-t border-line py-3">
            <AlertRow alert={alert} />
          </li>
        ))}
      </ul>
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
    </Section>
  );
}

function AlertRow({ alert: { id, rule_id, event, opened_at, snooze } }: { alert: OpenAlert }) {
  const isReadOnly = useReadOnlyReason() !== null;
  return (
    <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
      <div className="min-w-0 flex-1 basis-64">
        <p className="font-medium wrap-anywhere">
          <EventWords event={event} />
        </p>
        <p className="text-[0.8125rem] text-soft">
          Open since <RelativeTime time={opened_at} />.{" "}
          {event.run ? (
            <Link to="/runs/$runId" params={{ runId: event.run.id }} className="link">
              Open the run
            </Link>
          ) : (
            event.subject && (
              <Link {...pageOf(event.subject)} className="link">
                Open the {PAGE_WORDS[event.subject.kind]}
              </Link>
            )
          )}
          {" · "}
          <Link to="/alerts" search={{ edit: rule_id }} className="link">
            Show the rule
          </Link>
        </p>
        <SnoozedUntil snooze={snooze as AlertRule["snooze"]} />
      </div>
      {!isReadOnly && (
        <SnoozeButton
          object={{ kind: "open", id }}
          name={event.subject ? `${event.subject.name} ${event.summary}` : event.summary}
          effect="Nobody is told of this alert again until then. If it is still open at the end, its channels are reminded."
          snooze={snooze}
        />
      )}
    </div>
  );
}
