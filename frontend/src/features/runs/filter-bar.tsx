import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { STATUS_WORDS, TRIGGER_WORDS } from "@/api/status-words";
import { Button } from "@/components/button";
import { DayFields } from "@/components/day-fields";
import { SearchField } from "@/components/search-field";
import { parseRunFilter, type RunFilter } from "./filter";
import { pipelineNamesQuery } from "./queries";

interface Props {
  filter: RunFilter;
  /** The name of the pipeline in the filter, if it is known. */
  pipelineName: string | undefined;
}

/** The filters of the list of runs. */
export function FilterBar({ filter, pipelineName }: Props) {
  const navigate = useNavigate({ from: "/runs" });
  const change = (changed: Record<string, string | undefined>, replace = false) =>
    void navigate({ search: (current) => parseRunFilter({ ...current, ...changed }), replace });
  return (
    <div role="search" aria-label="Filter runs" className="mb-3 flex flex-wrap items-center gap-2">
      <SearchField
        label="Search runs"
        value={filter.q ?? ""}
        onChange={(q, replace) => change({ q }, replace)}
      />
      <Choice
        label="Status"
        any="Any status"
        value={filter.status}
        words={STATUS_WORDS}
        onChange={(status) => change({ status })}
      />
      <PipelineChoice
        value={filter.pipeline}
        name={pipelineName}
        onChange={(pipeline) => change({ pipeline })}
      />
      <Choice
        label="Started by"
        any="Any start"
        value={filter.trigger}
        words={TRIGGER_WORDS}
        onChange={(trigger) => change({ trigger })}
      />
      <DayFields days={filter} onChange={(days, replace) => change({ ...days }, replace)} />
      {Object.keys(filter).length > 0 && (
        <Button look="quiet" onClick={() => void navigate({ search: {} })}>
          Clear filters
        </Button>
      )}
    </div>
  );
}

interface ChoiceProps {
  label: string;
  any: string;
  value: string | undefined;
  words: Record<string, string>;
  onChange: (value: string) => void;
}

function Choice({ label, any, value = "", words, onChange }: ChoiceProps) {
  return (
    <select
      aria-label={label}
      className="control w-auto! px-1.5! text-[0.8125rem]"
      value={value}
      onChange={({ target }) => onChange(target.value)}
    >
      <option value="">{any}</option>
      {Object.entries(words).map(([each, word]) => (
        <option key={each} value={each}>
          {word}
        </option>
      ))}
    </select>
  );
}

interface PipelineChoiceProps {
  value: string | undefined;
  name: string | undefined;
  onChange: (id: string) => void;
}

/** The names of all pipelines are loaded when they are about to be needed. */
function PipelineChoice({ value = "", name, onChange }: PipelineChoiceProps) {
  const [isNeeded, setNeeded] = useState(false);
  const { data = [], isPending, isError } = useQuery({ ...pipelineNamesQuery, enabled: isNeeded });
  const isKnown = value === "" || data.some(({ id }) => id === value);
  const load = () => setNeeded(true);
  return (
    <select
      aria-label="Pipeline"
      className="control w-36! px-1.5! text-[0.8125rem]"
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
