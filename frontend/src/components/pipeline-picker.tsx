import { useQuery } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import { pipelineNamesQuery } from "@/api/pipelines";
import { Button } from "./button";
import { Field } from "./field";

interface Props {
  /** The ids of the pipelines that are not offered, such as those that are chosen already. */
  excluded: string[];
  hint?: ReactNode;
  error?: string | null;
  onAdd: (pipeline: { id: string; name: string }) => void;
}

/** Adds pipelines to a list. A button adds, because with the arrow keys a user chooses each pipeline on the way to the wanted one. */
export function PipelinePicker({ excluded, hint, error, onAdd }: Props) {
  const { data = [], isPending, isError } = useQuery(pipelineNamesQuery);
  const [id, setId] = useState("");
  const offered = data.filter((pipeline) => !excluded.includes(pipeline.id));
  const pipeline = offered.find((each) => each.id === id);
  function add() {
    if (!pipeline) return;
    onAdd(pipeline);
    setId("");
  }
  return (
    <Field
      label="Add a pipeline"
      hint={hint}
      error={error}
      action={
        <Button disabledReason={pipeline ? null : "Choose a pipeline first"} onClick={add}>
          Add
        </Button>
      }
    >
      {(control) => (
        <select
          className="control"
          {...control}
          value={pipeline ? id : ""}
          onChange={({ target }) => setId(target.value)}
        >
          <option value="">{isPending ? "Loading…" : "Choose a pipeline"}</option>
          {isError && <option disabled>The pipelines could not be loaded.</option>}
          {offered.map((each) => (
            <option key={each.id} value={each.id}>
              {each.name}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
