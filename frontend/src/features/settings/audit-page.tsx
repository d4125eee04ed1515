import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { answer, api } from "@/api/client";
import { Button } from "@/components/button";
import { EmptyState, ErrorNotice, Skeletons } from "@/components/notice";
import { complain } from "@/components/toast";
import { When } from "@/components/when";
import { save } from "./organization-page";
import { Section } from "./parts";

export function AuditPage() {
  const [action, setAction] = useState("");
  const query = useInfiniteQuery({
    queryKey: ["audit", action],
    queryFn: ({ pageParam, signal }) =>
      answer(
        api.GET("/api/v1/org/audit", {
          params: {
            query: {
              limit: 50,
              ...(action ? { action } : {}),
              ...(pageParam ? { cursor: pageParam } : {}),
            },
          },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page) => page.next,
  });
  const events = query.data?.pages.flatMap((page) => page.results) ?? [];
  return (
    <Section
      title="Audit"
      about="Who did what, operators of this installation included. Nobody can change or remove it."
      action={
        <div className="flex flex-wrap gap-2">
          <input
            type="search"
            aria-label="Action, like member.remove"
            placeholder="Action, like member.remove"
            className="control w-56!"
            onKeyDown={(event) => event.key === "Enter" && setAction(event.currentTarget.value.trim())}
            onBlur={({ target }) => setAction(target.value.trim())}
          />
          <Button onClick={() => void save("/api/v1/org/audit/export", "audit.csv").catch(complain)}>
            Download CSV
          </Button>
        </div>
      }
    >
      {query.isPending && <Skeletons />}
      {query.isError && <ErrorNotice error={query.error} retry={() => void query.refetch()} />}
      {query.isSuccess && events.length === 0 && (
        <EmptyState title="No such events">Clear the filter to see the others.</EmptyState>
      )}
      <ul className="grid gap-3">
        {events.map((event) => (
          <li key={event.id} className="border-b border-line pb-3">
            <p>
              <span className="font-medium">{event.actor_label}</span>{" "}
              <code className="text-[0.8125rem]">{event.action}</code> {event.object_label}{" "}
              <span className="text-faint">
                <When at={event.at} />
                {event.ip && `, from ${event.ip}`}
              </span>
            </p>
            <Changes changes={event.changes} />
          </li>
        ))}
      </ul>
      {query.hasNextPage && (
        <Button className="mt-3" onClick={() => void query.fetchNextPage()}>
          {query.isFetchingNextPage ? "Loading…" : "Load more"}
        </Button>
      )}
    </Section>
  );
}

function Changes({ changes }: { changes: Record<string, unknown> }) {
  const rows = Object.entries(changes);
  if (rows.length === 0) return null;
  return (
    <ul className="mt-1 grid gap-0.5 text-[0.8125rem] text-soft">
      {rows.map(([field, change]) => (
        <li key={field} className="break-words">
          {field}: {wordsOf(change)}
        </li>
      ))}
    </ul>
  );
}

/** [before, after] in words. */
function wordsOf(change: unknown): string {
  const shown = (value: unknown) =>
    typeof value === "string" ? value : value === null ? "nothing" : JSON.stringify(value);
  if (!Array.isArray(change) || change.length !== 2) return shown(change);
  return `${shown(change[0])} → ${shown(change[1])}`;
}
