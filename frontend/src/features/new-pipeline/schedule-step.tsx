import { useState } from "react";
import { NextTimes, ScheduleFields, useCheckedSchedule } from "@/components/schedule-fields";
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
      {newSchedule && <NextTimes times={checked.problem ? [] : checked.times} />}
      <StepActions nextLabel="Continue" disabledReason={checked.problem} onNext={() => onDone(newSchedule)} />
    </div>
  );
}
