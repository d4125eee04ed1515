import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { api, unwrap } from "@/api/client";
import { downloadFile } from "@/api/download";
import { queryKeys } from "@/api/query-keys";
import { Button } from "@/components/button";
import { Field, TextField } from "@/components/field";
import { EmptyState, ErrorNotice, Skeletons } from "@/components/notice";
import { showError } from "@/components/toast";
import { RelativeTime } from "@/components/relative-time";
import { membersQuery } from "./members-page";
import { actorInWords, changeInWords } from "./change";
import { Section } from "./section";

interface Filter {
  action?: string;
  actor?: string;
  since?: string;
  until?: string;
}

/** Returns the filter in the form. Days are in the user's time zone, and `until` is the end of the day. */
function readFilter(form: HTMLFormElement): Filter {
  const data = new FormData(form);
  const text = (name: string) => String(data.get(name) ?? "").trim();
  const filter: Filter = {};
  if (text("action")) filter.action = text("action");
  if (text("actor")) filter.actor = text("actor");
  if (text("since")) filter.since = new Date(`${text("since")}T00:00`).toISOString();
  if (text("until")) {
    const end = new Date(`${text("until")}T00:00`);
    end.setDate(end.getDate() + 1);
    filter.until = end.toISOString();
  }
  return filter;
}

export function AuditPage() {
  const [filter, setFilter] = useState<Filter>({});
  const members = useQuery(membersQuery);
  const query = useInfiniteQuery({
    queryKey: queryKeys.audit(filter),
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/api/v1/org/audit", {
          params: { query: { limit: 50, ...filter, ...(pageParam ? { cursor: pageParam } : {}) } },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page) => page.next,
  });
  const events = query.data?.pages.flatMap((page) => page.results) ?? [];

  function download(format: "csv" | "jsonl") {
    const parameters = new URLSearchParams({ ...filter, format });
    void downloadFile(`/api/v1/org/audit/export?${parameters}`, `audit.${format}`).catch(showError);
  }

  return (
    <Section
      title="Audit log"
      description="Who did what, including the operators of this installation. Nobody can change or delete an entry before its retention period ends."
      action={
        <div className="flex flex-wrap gap-2">
          <Button onClick={() => download("csv")}>Download CSV</Button>
          <Button onClick={() => download("jsonl")}>Download JSON Lines</Button>
        </div>
      }
    >
      <form
        aria-label="Filter"
        className="mb-4 grid items-end gap-3 sm:grid-cols-2 @3xl/page:grid-cols-[2fr_2fr_1fr_1fr_auto]"
        onSubmit={(event: FormEvent<HTMLFormElement>) => {
          event.preventDefault();
          setFilter(readFilter(event.currentTarget));
        }}
        onReset={() => setFilter({})}
      >
        <TextField label="Action" name="action" maxLength={60} placeholder="member.remove" />
        <Field label="Who">
          {(control) => (
            <select {...control} name="actor" className="control">
              <option value="">Anyone</option>
              {members.data?.results.map(({ user_id, name, email }) => (
                <option key={user_id} value={user_id}>
                  {email || name}
                </option>
              ))}
            </select>
          )}
        </Field>
        <TextField label="From" name="since" type="date" />
        <TextField label="To" name="until" type="date" />
        <div className="flex gap-2">
          <Button type="submit">Filter</Button>
          <Button type="reset" look="quiet">
            Clear
          </Button>
        </div>
      </form>
      {query.isPending && <Skeletons />}
      {query.isError && <ErrorNotice error={query.error} retry={() => void query.refetch()} />}
      {query.isSuccess && events.length === 0 && (
        <EmptyState title="No matching events">Clear the filters to see other events.</EmptyState>
      )}
      <ul className="grid gap-3 wrap-anywhere">
        {events.map((event) => (
          <li key={event.id} className="border-b border-line pb-3">
            <p>
              <span className="font-medium">{actorInWords(event)}</span>{" "}
              <code className="text-[0.8125rem]">{event.action}</code> {event.object_label}{" "}
              <span className="text-faint">
                <RelativeTime time={event.at} />
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
        <li key={field}>{changeInWords(field, change)}</li>
      ))}
    </ul>
  );
}
