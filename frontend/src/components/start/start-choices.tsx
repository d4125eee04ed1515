import { Link } from "@tanstack/react-router";
import { ArrowIcon } from "@/components/icons";
import { SAMPLES, type SampleName } from "./samples";

const CARD =
  "group flex min-w-0 flex-col gap-1 rounded-card border border-line bg-surface p-4 text-left hover:bg-hover aria-[current=true]:border-ink";

/** The ways to begin: with sample data, or with a source of one's own. Shown while there are no pipelines. */
export function StartChoices({ sample }: { sample?: SampleName }) {
  return (
    <div className="grid gap-3 @2xl/page:grid-cols-3">
      {Object.entries(SAMPLES).map(([name, { title, text }]) => (
        <Link
          key={name}
          to="/start"
          search={{ sample: name as SampleName }}
          aria-current={name === sample ? "true" : undefined}
          className={CARD}
        >
          <span className="font-semibold">{title}</span>
          <span className="text-soft">{text}</span>
        </Link>
      ))}
      <Link to="/pipelines/new" className={CARD}>
        <span className="flex items-center gap-1.5 font-semibold">
          Your own source
          <ArrowIcon className="text-faint group-hover:text-ink" />
        </span>
        <span className="text-soft">A database, an API, files or a custom source, with your settings.</span>
      </Link>
    </div>
  );
}
