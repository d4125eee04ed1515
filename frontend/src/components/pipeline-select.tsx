import { useQuery } from "@tanstack/react-query";
import { useState, type SelectHTMLAttributes } from "react";
import { pipelineNamesQuery } from "@/api/pipelines";

interface Props extends Omit<SelectHTMLAttributes<HTMLSelectElement>, "onChange" | "value"> {
  /** The option for no pipeline. */
  none: string;
  value: string | undefined;
  /** The name of the chosen pipeline, if it is known. */
  name: string | undefined;
  onChange: (id: string) => void;
}

/** Lets the user choose a pipeline. The names of all pipelines are loaded when they are about to be needed. */
export function PipelineSelect({ none, value = "", name, onChange, ...attributes }: Props) {
  const [isNeeded, setNeeded] = useState(false);
  const { data = [], isPending, isError } = useQuery({ ...pipelineNamesQuery, enabled: isNeeded });
  const isKnown = value === "" || data.some(({ id }) => id === value);
  const load = () => setNeeded(true);
  return (
    <select
      className="control"
      {...attributes}
      value={value}
      onPointerEnter={load}
      onFocus={load}
      onChange={({ target }) => onChange(target.value)}
    >
      <option value="">{none}</option>
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
