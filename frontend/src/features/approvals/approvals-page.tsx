import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ToolRequestRow } from "@/api/types";
import { Button } from "@/components/button";
import { LoadErrorPage } from "@/components/error-pages";
import { EmptyState, Skeletons } from "@/components/notice";
import { PageHeader } from "@/components/page";
import { RelativeTime } from "@/components/relative-time";
import { Name } from "@/components/name";
import { openRequestsQuery } from "./queries";

/** What programs have asked for over MCP, and nobody has decided. */
export function ApprovalsPage() {
  const { data, error, refetch, hasNextPage, fetchNextPage } = useInfiniteQuery(openRequestsQuery);
  const rows = data?.pages.flatMap(({ results }) => results) ?? [];
  return (
    <div className="mx-auto max-w-[48rem] px-4 py-5 md:px-6">
      <PageHeader title="Requests of programs" count={data?.pages[0]?.count} />
      {error && !data && <LoadErrorPage error={error} retry={() => void refetch()} />}
      {!data && !error && <Skeletons />}
      {data && rows.length === 0 && (
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
