import type { Days } from "@/format/days";
import { isStillTyped } from "@/format/parameter";

interface Props {
  days: Days;
  /** `replace` says whether to replace the entry in the history, see `isStillTyped`. */
  onChange: (changed: Days, replace: boolean) => void;
}

/** The first and the last day of what a list shows. */
export function DayFields({ days, onChange }: Props) {
  const fields = [
    { name: "since", label: "From" },
    { name: "until", label: "To" },
  ] as const;
  return (
    // Where the line has no room for both, both are on the next line.
    <div className="flex flex-wrap gap-2">
      {fields.map(({ name, label }) => (
        <label key={name} className="flex items-center gap-1.5 text-[0.8125rem] text-soft">
          {label}
          <input
            type="date"
            className="control w-auto!"
            value={days[name] ?? ""}
            onChange={({ target }) =>
              onChange({ [name]: target.value || undefined }, isStillTyped(days[name], target.value))
            }
          />
        </label>
      ))}
    </div>
  );
}
