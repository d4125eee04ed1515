import { useNavigate } from "@tanstack/react-router";
import { isRunStatus } from "@/api/run-status";
import { Button } from "@/components/button";
import { SearchField } from "@/components/search-field";
import type { PipelineFilter } from "./filter";

export function FilterBar({ filter, tags }: { filter: PipelineFilter; tags: string[] }) {
  const navigate = useNavigate({ from: "/pipelines" });
  const change = (next: Partial<PipelineFilter>) =>
    void navigate({ search: (current) => withoutEmptyValues({ ...current, ...next }), replace: true });
  const options = filter.tag && !tags.includes(filter.tag) ? [filter.tag, ...tags] : tags;
  const hasFilter = Object.keys(filter).length > 0;
  return (
    <div role="search" aria-label="Filter pipelines" className="flex flex-wrap items-center gap-2">
      <SearchField label="Search pipelines" value={filter.q ?? ""} onChange={(q) => change({ q })} />
      <select
        aria-label="Status of the last run"
        className="control w-auto! min-w-0 flex-1 sm:flex-none"
        value={filter.status ?? ""}
        onChange={({ target }) => change({ status: isRunStatus(target.value) ? target.value : undefined })}
      >
        <option value="">Any status</option>
        <option value="running">Running</option>
        <option value="pending">Waiting</option>
        <option value="succeeded">Succeeded</option>
        <option value="failed">Failed</option>
        <option value="cancelled">Cancelled</option>
      </select>
      <select
        aria-label="Tag"
        className="control w-auto! min-w-0 flex-1 sm:flex-none"
        value={filter.tag ?? ""}
        onChange={({ target }) => change({ tag: target.value })}
      >
        <option value="">Any tag</option>
        {options.map((tag) => (
          <option key={tag}>{tag}</option>
        ))}
      </select>
      {hasFilter && (
        <Button look="quiet" onClick={() => void navigate({ search: {}, replace: true })}>
          Clear filters
        </Button>
      )}
    </div>
  );
}

/** Returns the filter without its empty values, which the URL does not contain. */
function withoutEmptyValues(filter: PipelineFilter): PipelineFilter {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value));
}
