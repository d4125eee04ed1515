import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { api, unwrap } from "@/api/client";
import { downloadFile } from "@/api/download";
import { queryKeys } from "@/api/query-keys";
import { Button } from "@/components/button";
import { DayFields } from "@/components/day-fields";
import { FilterBar, NoMatch } from "@/components/filter-bar";
import { ErrorNotice, Skeletons } from "@/components/notice";
import { RelativeTime } from "@/components/relative-time";
import { showError } from "@/components/toast";
import { membersQuery } from "@/api/members";
import { useKindName } from "@/components/connectors/use-kind-name";
import { ACTIONS, actionInWords, actorInWords, changeLines, eventInWords, type Names } from "@/format/audit";
import { nameInWords } from "@/format/name";
import { parseAuditFilter, toQuery, type AuditFilter } from "./audit-filter";
import { Section } from "@/components/section";

const kindOf = (action: string) => action.slice(0, action.indexOf("."));

/** The actions by the kind of object that they concern. */
const ACTION_GROUPS = [...new Set(Object.keys(ACTIONS).map(kindOf))].map((kind) => ({
  kind,
  actions: Object.keys(ACTIONS).filter((action) => kindOf(action) === kind),
}));

export function AuditPage() {
  const filter = parseAuditFilter({ ...useSearch({ from: "/app/settings/audit" }) });
  const navigate = useNavigate({ from: "/settings/audit" });
  const members = useQuery(membersQuery);
  const names = useNames();
  const query = useInfiniteQuery({
    queryKey: queryKeys.audit(filter),
    placeholderData: keepPreviousData,
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET("/api/v1/org/audit", {
          params: { query: { limit: 50, ...toQuery(filter), ...(pageParam ? { cursor: pageParam } : {}) } },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (page) => page.next,
  });
  const events = query.data?.pages.flatMap((page) => page.results) ?? [];

  const change = (next: AuditFilter, replace = false) =>
    void navigate({ search: (current) => ({ ...current, ...next }), replace });

  function download(format: "csv" | "jsonl") {
    const parameters = new URLSearchParams({ ...toQuery(filter), format });
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
      <FilterBar
        items="events"
        filter={filter}
        onSearch={(q, replace) => change({ q }, replace)}
        onClear={() => void navigate({ search: {} })}
      >
        <select
          aria-label="Action"
          className="control w-52!"
          value={filter.action ?? ""}
          onChange={({ target }) => change({ action: target.value || undefined })}
        >
          <option value="">All actions</option>
          {ACTION_GROUPS.map(({ kind, actions }) => (
            <optgroup key={kind} label={nameInWords(kind)}>
              {actions.map((action) => (
                <option key={action} value={action}>
                  {actionInWords(action)}
                </option>
              ))}
            </optgroup>
          ))}
        </select>
        <select
          aria-label="Who"
          className="control w-52!"
          value={filter.actor ?? ""}
          onChange={({ target }) => change({ actor: target.value || undefined })}
        >
          <option value="">Anyone</option>
          {members.data?.results.map(({ user_id, name, email }) => (
            <option key={user_id} value={user_id}>
              {email && name ? `${name} (${email})` : email || name}
            </option>
          ))}
        </select>
        <DayFields days={filter} onChange={change} />
      </FilterBar>
      {query.isPending && <Skeletons />}
      {query.isError && <ErrorNotice error={query.error} retry={() => void query.refetch()} />}
      {query.isSuccess && events.length === 0 && (
        <NoMatch items="events" onClear={() => void navigate({ search: {} })} />
      )}
      <ul className="grid gap-3 wrap-anywhere">
        {events.map((event) => (
          <li key={event.id} className="border-b border-line pb-3">
            <p>
              <span className="font-medium">{actorInWords(event, names)}</span>{" "}
              {names.person(event.actor_label) !== event.actor_label && (
                <span className="text-faint">({event.actor_label}) </span>
              )}
              <span title={addressOf(event.object_label)}>{eventInWords(event, names)}</span>{" "}
              <span className="text-faint">
                <RelativeTime time={event.at} />
                {event.ip && `, from ${event.ip}`}
              </span>
            </p>
            <Changes lines={changeLines(event, names)} />
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

/** The e-mail address in place of which a name is shown, for the tooltip. */
function addressOf(label: string): string | undefined {
  return label.includes("@") ? label : undefined;
}

/** The names of the members, and the titles of the kinds of connectors. */
function useNames(): Names {
  const members = useQuery(membersQuery).data?.results;
  const kindName = useKindName();
  return {
    person: (address) => members?.find(({ email }) => email === address)?.name || address,
    kind: (kind) => kindName(null, kind),
  };
}

function Changes({ lines }: { lines: string[] }) {
  if (lines.length === 0) return null;
  return (
    <ul className="mt-1 grid gap-0.5 text-[0.8125rem] text-soft">
      {lines.map((line) => (
        <li key={line} className="whitespace-pre-wrap">
          {line}
        </li>
      ))}
    </ul>
  );
}
