import { useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { isRunStatus } from "@/api/run-status";
import { Button } from "@/components/button";
import { SearchIcon } from "@/components/icons";
import type { PipelineFilter } from "./filter";

const TYPING_DELAY = 250; // milliseconds without typing after which the text is written to the URL

export function FilterBar({ filter, tags }: { filter: PipelineFilter; tags: string[] }) {
  const navigate = useNavigate({ from: "/pipelines" });
  const change = (next: Partial<PipelineFilter>) =>
    void navigate({ search: (current) => withoutEmptyValues({ ...current, ...next }), replace: true });
  const options = filter.tag && !tags.includes(filter.tag) ? [filter.tag, ...tags] : tags;
  const hasFilter = Object.keys(filter).length > 0;
  return (
    <div role="search" aria-label="Filter pipelines" className="flex flex-wrap items-center gap-2">
      <SearchField value={filter.q ?? ""} onChange={(q) => change({ q })} />
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

function SearchField({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const [text, setText] = useState(value);
  const [lastValue, setLastValue] = useState(value);
  if (lastValue !== value) {
    setLastValue(value); // the URL was changed, for example by the back button or "Clear filters"
    setText(value);
  }
  useEffect(() => {
    if (text.trim() === value) return;
    const timer = setTimeout(() => onChange(text.trim()), TYPING_DELAY);
    return () => clearTimeout(timer);
  }); // no dependencies, so that the timer always calls the current onChange
  return (
    <div className="relative w-full sm:w-64">
      <SearchIcon className="absolute top-2.5 left-2.5 text-faint" />
      <input
        data-search
        type="search"
        aria-label="Search pipelines"
        placeholder="Search (press /)"
        className="control pl-8!"
        value={text}
        onChange={({ target }) => setText(target.value)}
      />
    </div>
  );
}
