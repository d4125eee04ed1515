import type { RunComparison } from "@/api/types";
import { StatusBadge } from "@/components/status";
import { formatDuration } from "@/format/duration";
import { formatCount } from "@/format/number";
import { Difference } from "./difference";

type Compared = RunComparison["streams"][number];

/** The streams of both runs. Those that differ in their status, or that only one run has, come first. */
export function ComparedStreams({ comparison: { streams, streams_total } }: { comparison: RunComparison }) {
  const sorted = [...streams].sort((a, b) => Number(isSame(a)) - Number(isSame(b)));
  return (
    <section aria-labelledby="streams-title" className="card min-w-0 p-4">
      <h2 id="streams-title" className="mb-2 font-semibold">
        Streams{" "}
        <span className="font-normal text-faint">
          {streams.length < streams_total
            ? `the first ${formatCount(streams.length)} of ${formatCount(streams_total)}`
            : formatCount(streams_total)}
        </span>
      </h2>
      <div role="region" aria-label="Streams" tabIndex={0} className="max-h-[28rem] overflow-auto">
        <table className="w-full text-[0.8125rem]">
          <thead className="sticky top-0 bg-surface text-left text-soft">
            <tr>
              <th scope="col" className="py-1.5 pr-3 font-medium">
                Stream
              </th>
              <th scope="col" className="py-1.5 pr-3 font-medium">
                This run
              </th>
              <th scope="col" className="py-1.5 pr-3 font-medium max-md:hidden">
                Other run
              </th>
              <th scope="col" className="py-1.5 pr-3 text-right font-medium">
                Written
              </th>
              <th scope="col" className="py-1.5 pr-3 text-right font-medium max-sm:hidden">
                Difference
              </th>
              <th scope="col" className="py-1.5 pr-3 text-right font-medium max-md:hidden">
                Duration
              </th>
              <th scope="col" className="py-1.5 text-right font-medium max-md:hidden">
                Difference
              </th>
            </tr>
          </thead>
          <tbody className="divide-y divide-line">
            {sorted.map((compared) => (
              <StreamRow key={compared.stream} compared={compared} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function isSame({ run, other }: Compared): boolean {
  return run !== null && other !== null && run.status === other.status;
}

function StreamRow({ compared: { stream, run, other } }: { compared: Compared }) {
  return (
    <tr>
      <th scope="row" className="min-w-32 py-1.5 pr-3 text-left font-normal wrap-anywhere">
        {stream}
      </th>
      <td className="py-1.5 pr-3">{run ? <StatusBadge status={run.status} /> : "Not in this run"}</td>
      <td className="py-1.5 pr-3 max-md:hidden">
        {other ? <StatusBadge status={other.status} /> : "Not in that run"}
      </td>
      <td className="py-1.5 pr-3 text-right tabular-nums">{run ? formatCount(run.written) : "–"}</td>
      <td className="py-1.5 pr-3 text-right whitespace-nowrap tabular-nums max-sm:hidden">
        <Difference value={run?.written ?? null} other={other?.written ?? null} format={formatCount} />
      </td>
      <td className="py-1.5 pr-3 text-right whitespace-nowrap tabular-nums max-md:hidden">
        {run?.duration_seconds == null ? "–" : formatDuration(run.duration_seconds)}
      </td>
      <td className="py-1.5 text-right whitespace-nowrap tabular-nums max-md:hidden">
        <Difference
          value={run?.duration_seconds ?? null}
          other={other?.duration_seconds ?? null}
          format={formatDuration}
        />
      </td>
    </tr>
  );
}
