import { useState } from "react";
import { NextRuns } from "@/components/next-runs";
import { ScheduleFields, useCheckedSchedule } from "@/components/schedule-fields";
import type { Schedule } from "@/format/schedule";
import { StepActions } from "./step";

const SHOWN_TIMES = 3;

interface Props {
  schedule: Schedule | null;
  errors: Record<string, string>;
  onDone: (schedule: Schedule | null) => void;
}

export function ScheduleStep({ schedule, errors, onDone }: Props) {
  const [newSchedule, setNewSchedule] = useState(schedule);
  const checked = useCheckedSchedule(newSchedule, SHOWN_TIMES);
  return (
    <div className="grid gap-4">
      <ScheduleFields
        schedule={schedule}
        onChange={setNewSchedule}
        errors={{ ...checked.errors, ...errors }}
      />
      {newSchedule && (
        <section aria-label="Next runs" className="min-h-28">
          <h3 className="mb-1 text-[0.8125rem] font-medium">Next runs</h3>
          <NextRuns schedule={newSchedule} checked={checked} />
        </section>
      )}
      <StepActions nextLabel="Continue" disabledReason={checked.problem} onNext={() => onDone(newSchedule)} />
    </div>
  );
}
