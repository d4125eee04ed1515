import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { pipelineNamesQuery } from "@/api/pipelines";
import { STATUS_WORDS, TRIGGER_WORDS } from "@/api/status-words";
import { DayFields } from "@/components/day-fields";
import { FilterBar, FilterSelect } from "@/components/filter-bar";
import { parseRunFilter, type RunFilter } from "./filter";

interface Props {
  filter: RunFilter;
  /** The name of the pipeline in the filter, if it is known. */
  pipelineName: string | undefined;
}

/** The filters of the list of runs. */
export function RunFilters({ filter: { order, ...filter }, pipelineName }: Props) {
  const navigate = useNavigate({ from: "/runs" });
  const change = (changed: Record<string, string | undefined>, replace = false) =>
    void navigate({ search: (current) => parseRunFilter({ ...current, ...changed }), replace });
  return (
    <FilterBar
      items="runs"
      filter={filter}
      onSearch={(q, replace) => change({ q }, replace)}
      onClear={() => void navigate({ search: { order } })}
    >
      <FilterSelect
        label="Status"
        any="Any status"
        value={filter.status}
        words={STATUS_WORDS}
        onChange={(status) => change({ status })}
      />
      <PipelineSelect
        value={filter.pipeline}
        name={pipelineName}
        onChange={(pipeline) => change({ pipeline })}
      />
      <FilterSelect
        label="Started by"
        any="Any start"
        value={filter.trigger}
        words={TRIGGER_WORDS}
        onChange={(trigger) => change({ trigger })}
      />
      <DayFields days={filter} onChange={(days, replace) => change({ ...days }, replace)} />
    </FilterBar>
  );
}

interface PipelineSelectProps {
  value: string | undefined;
  name: string | undefined;
  onChange: (id: string) => void;
}

/** The names of all pipelines are loaded when they are about to be needed. */
function PipelineSelect({ value = "", name, onChange }: PipelineSelectProps) {
  const [isNeeded, setNeeded] = useState(false);
  const { data = [], isPending, isError } = useQuery({ ...pipelineNamesQuery, enabled: isNeeded });
  const isKnown = value === "" || data.some(({ id }) => id === value);
  const load = () => setNeeded(true);
  return (
    <select
      aria-label="Pipeline"
      className="control w-40!"
      value={value}
      onPointerEnter={load}
      onFocus={load}
      onChange={({ target }) => onChange(target.value)}
    >
      <option value="">Any pipeline</option>
      {!isKnown && <option value={value}>{name ?? "The chosen pipeline"}</option>}
      {isNeeded && isPending && <option disabled>Loading…</option>}
      {isError && <option disabled>The pipelines could not be loaded. Search by name instead.</option>}
      {data.map((pipeline) => (
        <option key={pipeline.id} value={pipeline.id}>
          {pipeline.name}
        </option>
      ))}
    </select>
  );
}
