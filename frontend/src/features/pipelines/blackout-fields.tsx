import { Button } from "@/components/button";
import { TextField } from "@/components/field";
import { WeekdayChoice } from "@/components/weekday-choice";
import { windowInWords, type BlackoutWindow } from "@/format/blackouts";

const MAX_WINDOWS = 20;

interface Props {
  windows: BlackoutWindow[];
  onChange: (windows: BlackoutWindow[]) => void;
  errors: Record<string, string>;
}

/** Fields for the times in which only a person starts the pipeline. */
export function BlackoutFields({ windows, onChange, errors }: Props) {
  const add = (window: BlackoutWindow) => onChange([...windows, window]);
  const limit = windows.length >= MAX_WINDOWS ? `A schedule has at most ${MAX_WINDOWS} windows` : null;
  return (
    <section aria-label="Blackouts" className="grid gap-3">
      <div>
        <h3 className="text-[0.8125rem] font-medium">Blackouts</h3>
        <p className="text-xs text-faint">
          Times in which only a person starts the pipeline, in the time zone of the schedule. Times of the
          schedule within are missed times.
        </p>
      </div>
      {windows.map((window, number) => (
        <WindowFields
          key={number}
          window={window}
          errorOf={(field) => errors[`blackouts.${number}.${field}`]}
          onChange={(next) => onChange(windows.map((each, index) => (index === number ? next : each)))}
          onRemove={() => onChange(windows.filter((_, index) => index !== number))}
        />
      ))}
      {errors.blackouts && <p className="text-xs text-bad">{errors.blackouts}</p>}
      <div className="flex flex-wrap gap-2">
        <Button
          size="small"
          disabledReason={limit}
          onClick={() => add({ weekdays: ["saturday", "sunday"], start: "22:00", end: "06:00" })}
        >
          Add times of the week
        </Button>
        <Button
          size="small"
          disabledReason={limit}
          onClick={() => add({ first_day: tomorrow(), last_day: tomorrow() })}
        >
          Add days
        </Button>
      </div>
    </section>
  );
}

interface WindowProps {
  window: BlackoutWindow;
  errorOf: (field: string) => string | undefined;
  onChange: (window: BlackoutWindow) => void;
  onRemove: () => void;
}

function WindowFields({ window, errorOf, onChange, onRemove }: WindowProps) {
  const input = (field: "start" | "end" | "first_day" | "last_day", label: string, type: string) => (
    <TextField
      label={label}
      type={type}
      required
      value={window[field] ?? ""}
      error={errorOf(field)}
      onChange={({ target }) => onChange({ ...window, [field]: target.value })}
    />
  );
  return (
    <div
      role="group"
      aria-label={windowInWords(window)}
      className="grid gap-2 rounded-control border border-line p-3"
    >
      {window.weekdays && (
        <WeekdayChoice
          label="Begins on"
          days={window.weekdays}
          error={errorOf("weekdays")}
          onChange={(weekdays) => onChange({ ...window, weekdays })}
        />
      )}
      <div className="grid gap-3 sm:grid-cols-2">
        {window.weekdays ? input("start", "From", "time") : input("first_day", "First day", "date")}
        {window.weekdays ? input("end", endLabel(window), "time") : input("last_day", "Last day", "date")}
      </div>
      <div>
        <Button size="small" aria-label={`Remove ${windowInWords(window)}`} onClick={onRemove}>
          Remove
        </Button>
      </div>
    </div>
  );
}

function endLabel({ start = "", end = "" }: BlackoutWindow): string {
  return end <= start ? "To (on the next day)" : "To";
}

function tomorrow(): string {
  const day = new Date();
  day.setDate(day.getDate() + 1);
  const parts = [day.getFullYear(), day.getMonth() + 1, day.getDate()];
  return parts.map((part) => String(part).padStart(2, "0")).join("-");
}
