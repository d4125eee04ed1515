import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { isLive } from "@/api/run-status";
import type { Run } from "@/api/types";
import { buttonClasses } from "@/components/button";
import { RecordsPanel } from "@/components/records/records-panel";
import { useHasPermission } from "@/session/use-session";
import { parseRunSearch } from "./filter";

const FROM = "/app/runs/$runId";

/** The records that the run has written. They are read when the user asks for them, because each look is audited. */
export function RecordsCard({ run }: { run: Run }) {
  const mayLook = useHasPermission()("data.view", run.domain_id);
  const { records, stream } = useSearch({ from: FROM, select: parseRunSearch });
  const navigate = useNavigate({ from: "/runs/$runId" });
  const isPublished = run.streams_succeeded > 0;
  // While the run is live, the card keeps its place, so that nothing moves when the first stream succeeds.
  if (!isPublished && !isLive(run.status)) return null;
  // The events of an older release do not say whether they are readable.
  const isReadable = run.records_readable !== false;
  if (isPublished && isReadable && mayLook && records) {
    return (
      <RecordsPanel
        of={{ kind: "run", id: run.id }}
        stream={stream}
        onSelectStream={(name) => void navigate({ search: (search) => ({ ...search, stream: name }) })}
      />
    );
  }
  return (
    <section
      aria-labelledby="records-title"
      className="card flex min-h-18.5 flex-wrap items-center gap-2 px-4 py-3"
    >
      <div className="mr-auto">
        <h2 id="records-title" className="font-semibold">
          Records
        </h2>
        <p className="text-soft">
          {!isPublished
            ? "The run has not published records yet."
            : !isReadable
              ? "The destination stores no records. What it shows of them is in the log below."
              : mayLook
                ? "The run has published its records at the destination."
                : "The run has published its records. Members can look at them."}
        </p>
      </div>
      {isPublished && isReadable && mayLook && (
        <Link
          from="/runs/$runId"
          search={(search) => ({ ...search, records: true as const })}
          resetScroll={false}
          className={buttonClasses("primary")}
        >
          Look at the records
        </Link>
      )}
    </section>
  );
}
