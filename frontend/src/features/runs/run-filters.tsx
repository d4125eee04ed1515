import { useNavigate } from "@tanstack/react-router";
import { STATUS_WORDS, TRIGGER_WORDS } from "@/api/status-words";
import { DayFields } from "@/components/day-fields";
import { FilterBar, FilterSelect } from "@/components/filter-bar";
import { PipelineSelect } from "@/components/pipeline-select";
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
        aria-label="Pipeline"
        none="Any pipeline"
        className="control w-40!"
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
