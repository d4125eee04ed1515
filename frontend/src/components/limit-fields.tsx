import { useId, useState } from "react";
import { percentOf, shareOf, type Limits } from "@/format/limits";
import { TextField } from "./field";

interface Props {
  limits: Limits;
  onChange: (limits: Limits) => void;
  errors?: Record<string, string>;
}

/** The settings that decide whether the result of a run is published. */
export function LimitFields({ limits, onChange, errors = {} }: Props) {
  const id = useId();
  // The text that is typed: "0." is not a number yet, and must not be replaced by one.
  const [percent, setPercent] = useState(String(percentOf(limits.maxRejectedShare)));
  function changePercent(text: string) {
    setPercent(text);
    onChange({ ...limits, maxRejectedShare: shareOf(text) });
  }
  return (
    <>
      <div data-setting="max_rejected_share">
        <TextField
          label="Rejected records allowed, in percent"
          hint="A run with a larger share of records that cannot be read or do not fit fails, and publishes nothing."
          type="number"
          min={0}
          max={100}
          step="any"
          value={percent}
          onChange={({ target }) => changePercent(target.value)}
          error={errors.max_rejected_share}
        />
      </div>
      <div data-setting="allow_empty" className="grid content-start gap-1">
        <label htmlFor={id} className="flex items-start gap-2">
          <input
            id={id}
            type="checkbox"
            className="mt-1"
            checked={limits.allowEmpty}
            aria-describedby={`${id}-hint`}
            onChange={({ target }) => onChange({ ...limits, allowEmpty: target.checked })}
          />
          An empty result may replace rows
        </label>
        <p id={`${id}-hint`} className="text-xs text-faint">
          Otherwise a run that reads nothing fails, and the table keeps its rows.
        </p>
        {errors.allow_empty && <p className="text-xs text-bad">{errors.allow_empty}</p>}
      </div>
    </>
  );
}
