import { WEEKDAYS, weekdayName, type Weekday } from "@/format/blackouts";

interface Props {
  label: string;
  days: Weekday[];
  error?: string;
  onChange: (days: Weekday[]) => void;
}

/** Check boxes for the days of the week. The last chosen day cannot be removed. */
export function WeekdayChoice({ label, days, error, onChange }: Props) {
  return (
    <fieldset className="min-w-0">
      <legend className="mb-1 text-[0.8125rem] font-medium">{label}</legend>
      <div className="flex flex-wrap gap-x-3 gap-y-1">
        {WEEKDAYS.map((day) => (
          <label key={day} className="flex min-h-6 items-center gap-1.5 text-[0.8125rem]">
            <input
              type="checkbox"
              className="size-4 shrink-0 accent-live"
              checked={days.includes(day)}
              disabled={days.length === 1 && days.includes(day)}
              onChange={({ target }) =>
                onChange(WEEKDAYS.filter((each) => (each === day ? target.checked : days.includes(each))))
              }
            />
            {weekdayName(day)}
          </label>
        ))}
      </div>
      {error && <p className="mt-1 text-xs text-bad">{error}</p>}
    </fieldset>
  );
}
