import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import type { ToolRequestRow } from "@/api/types";
import { Button } from "@/components/button";
import { LoadErrorPage } from "@/components/error-pages";
import { FilterBar, NoMatch } from "@/components/filter-bar";
import { EmptyState, Skeletons } from "@/components/notice";
import { PageHeader } from "@/components/page";
import { RelativeTime } from "@/components/relative-time";
import { Name } from "@/components/name";
import { parseTextFilter } from "@/format/parameter";
import { openRequestsQuery } from "./queries";

/** What programs have asked for over MCP, and nobody has decided. */
export function ApprovalsPage() {
  const filter = useSearch({ from: "/app/approvals", select: parseTextFilter });
  const navigate = useNavigate({ from: "/approvals" });
  const query = useInfiniteQuery(openRequestsQuery(filter));
  const { data, error, refetch, hasNextPage, fetchNextPage } = query;
  const rows = data?.pages.flatMap(({ results }) => results) ?? [];
  return (
    <div className="mx-auto max-w-[48rem] px-4 py-5 md:px-6">
      <PageHeader title="Requests of programs" count={data?.pages[0]?.count} />
      <FilterBar
        items="requests"
        filter={filter}
        onSearch={(q, replace) => void navigate({ search: { q }, replace })}
        onClear={() => void navigate({ search: {} })}
      />
      {error && !data && <LoadErrorPage error={error} retry={() => void refetch()} />}
      {!data && !error && <Skeletons />}
      {data && rows.length === 0 && filter.q && (
        <NoMatch items="requests" onClear={() => void navigate({ search: {} })} />
      )}
      {data && rows.length === 0 && !filter.q && (
        <EmptyState title="No request waits for you">
          Programs that speak MCP, such as other agents, can use the tools of Drover&apos;s agent. When a
          program asks for something that needs an approval, you find it here. To connect one, create an{" "}
          <Link to="/settings/api-keys" className="underline">
            API key
          </Link>{" "}
          and give it the key and the address <code>{window.location.origin}/mcp</code>.
        </EmptyState>
      )}
      {rows.length > 0 && (
        <ul aria-label="Open requests" className="card divide-y divide-line">
          {rows.map((row) => (
            <li key={row.id}>
              <RequestLink row={row} />
            </li>
          ))}
        </ul>
      )}
      {hasNextPage && (
        <Button className="mt-4" onClick={() => void fetchNextPage()}>
          Load more
        </Button>
      )}
    </div>
  );
}

function RequestLink({ row }: { row: ToolRequestRow }) {
  return (
    <Link
      to="/approvals/$requestId"
      params={{ requestId: row.id }}
      className="block min-w-0 px-4 py-3 hover:bg-hover"
    >
      <span className="block font-medium wrap-anywhere">{row.title}</span>
      <span className="text-[0.8125rem] wrap-anywhere text-soft">
        <Name>{row.key_name}</Name>, <RelativeTime time={row.created_at} />. Expires{" "}
        <RelativeTime time={row.expires_at} />
      </span>
    </Link>
  );
}
