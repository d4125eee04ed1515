import { Button } from "@/components/button";
import { WarningIcon } from "@/components/icons";
import { failureClassLabel } from "@/format/failure-class";
import type { Run } from "@/api/types";

interface Props {
  failure: NonNullable<Run["failure"]>;
  onExpand: () => void;
}

/**
 * The failure of a run that somebody watches, in the place of the records and as tall, so that nothing moves when the run
 * fails. A button shows the whole card.
 */
export function FailureNotice({ failure, onExpand }: Props) {
  return (
    <section
      aria-labelledby="failure-notice-title"
      className="flex h-18.5 min-w-0 items-center gap-3 rounded-card border border-line bg-bad-wash px-4"
    >
      <WarningIcon className="shrink-0 text-bad" />
      <div className="mr-auto min-w-0">
        <h2 id="failure-notice-title" className="truncate font-semibold">
          {failureClassLabel(failure.class)}
        </h2>
        <p className="truncate first-letter:uppercase" title={failure.message}>
          {failure.message}
        </p>
      </div>
      <Button look="primary" className="shrink-0" onClick={onExpand}>
        What to do
      </Button>
    </section>
  );
}
