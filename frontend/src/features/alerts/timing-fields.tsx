import { messagesBelow } from "@/api/problem";
import { Button } from "@/components/button";
import { ChoiceField } from "@/components/choice-field";
import { TextField } from "@/components/field";
import { TimeZoneField } from "@/components/time-zone-field";
import { WeekdayChoice } from "@/components/weekday-choice";
import { freshTiming, nextPeriod, timingWords, type QuietPeriod, type Timing } from "./timing";

const MAX_PERIODS = 10;

const HINTS = {
  at_once: "The first event goes at once. What follows within a minute is one message.",
  quiet_hours:
    "What happens in quiet hours is one message at their end. Rules that are urgent are told at once.",
  digest: "Everything since the last time is one message. Rules that are urgent are told at once.",
};

interface Props {
  timing: Timing;
  /** Whether a digest is offered. Kinds that open incidents have none. */
  hasDigest: boolean;
  onChange: (timing: Timing) => void;
  /** The server's messages by the paths below `timing`. */
  errors: Record<string, string>;
}

/** When a channel sends: at once, not in its quiet hours, or as a digest. */
export function TimingFields({ timing, hasDigest, onChange, errors }: Props) {
  const { kind, timezone = "UTC", periods = [], weekdays = [], at = "" } = timing;
  return (
    <>
      <ChoiceField
        label="Messages are sent"
        hint={HINTS[kind]}
        error={errors.kind ?? errors[""]}
        words={timingWords(hasDigest)}
        value={kind}
        onChange={(next) => onChange(freshTiming(next, timing.timezone))}
      />
      {kind === "quiet_hours" && (
        <Periods
          periods={periods}
          onChange={(next) => onChange({ ...timing, periods: next })}
          errors={errors}
        />
      )}
      {kind === "digest" && (
        <>
          <WeekdayChoice
            label="Days of the digest"
            days={weekdays}
            onChange={(next) => onChange({ ...timing, weekdays: next })}
            error={errors.weekdays}
          />
          <TextField
            label="Time of the digest"
            type="time"
            required
            error={errors.at}
            value={at}
            onChange={({ target }) => onChange({ ...timing, at: target.value })}
          />
        </>
      )}
      {kind !== "at_once" && (
        <TimeZoneField
          value={timezone}
          onChange={(next) => onChange({ ...timing, timezone: next })}
          error={errors.timezone}
        />
      )}
    </>
  );
}

interface PeriodsProps {
  periods: QuietPeriod[];
  onChange: (periods: QuietPeriod[]) => void;
  errors: Record<string, string>;
}

function Periods({ periods, onChange, errors }: PeriodsProps) {
  const replace = (index: number, change: Partial<QuietPeriod>) =>
    onChange(periods.map((each, other) => (other === index ? { ...each, ...change } : each)));
  return (
    <div className="grid gap-3">
      {periods.map((period, index) => {
        const messages = messagesBelow(errors, `periods.${index}`);
        const number = index + 1;
        return (
          <div key={index} className="grid gap-3 rounded-card border border-line p-3">
            <WeekdayChoice
              label={`Quiet hours ${number} begin on`}
              days={period.weekdays}
              onChange={(weekdays) => replace(index, { weekdays })}
              error={messages.weekdays}
            />
            <div className="flex flex-wrap items-start gap-3">
              <TextField
                label="From"
                type="time"
                required
                error={messages.start}
                value={period.start}
                onChange={({ target }) => replace(index, { start: target.value })}
              />
              <TextField
                label="To"
                type="time"
                required
                error={messages.end}
                hint={period.end > period.start ? undefined : "On the next day"}
                value={period.end}
                onChange={({ target }) => replace(index, { end: target.value })}
              />
              {periods.length > 1 && (
                <div className="pt-6">
                  <Button
                    size="small"
                    onClick={() => onChange(periods.filter((_, other) => other !== index))}
                  >
                    Remove<span className="sr-only"> quiet hours {number}</span>
                  </Button>
                </div>
              )}
            </div>
          </div>
        );
      })}
      {errors.periods && <p className="text-xs text-bad">{errors.periods}</p>}
      {periods.length < MAX_PERIODS && (
        <div>
          <Button size="small" onClick={() => onChange([...periods, nextPeriod(periods)])}>
            Add quiet hours
          </Button>
        </div>
      )}
    </div>
  );
}
