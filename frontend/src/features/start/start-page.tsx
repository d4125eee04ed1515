import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { isLive } from "@/api/run-status";
import type { Run } from "@/api/types";
import { Button, buttonClasses } from "@/components/button";
import { classNames } from "@/components/class-names";
import { ErrorNotice, FailureNotice, Skeletons } from "@/components/notice";
import { PageHeader } from "@/components/page";
import { PreviewTable } from "@/components/preview-table";
import { RecordsPanel } from "@/components/records/records-panel";
import type { SampleName } from "@/components/start/samples";
import { StartChoices } from "@/components/start/start-choices";
import { StatusBadge } from "@/components/status";
import { countWithNoun } from "@/format/number";
import { firstRunQuery, previewQuery, useCreateAndRun } from "./queries";
import { DESTINATIONS, parseStart, type DestinationKind } from "./start";

const FROM = "/app/start";

/** The first five minutes: choose data, see ten records, choose a destination, run, and look at what has arrived. */
export function StartPage() {
  const { sample, run } = useSearch({ from: FROM, select: parseStart });
  return (
    <div className="mx-auto max-w-6xl px-4 py-5 md:px-6">
      {/* The key renders it again when the first run replaces the form, so that it gets the focus of the form's button. */}
      <PageHeader key={run} title="Load your first data" />
      <div className="grid grid-cols-[minmax(0,1fr)] gap-4">
        {run ? (
          <FirstRun id={run} />
        ) : (
          <>
            <StartChoices sample={sample} />
            {sample && <SampleSteps key={sample} sample={sample} />}
          </>
        )}
      </div>
    </div>
  );
}

function SampleSteps({ sample }: { sample: SampleName }) {
  const preview = useQuery(previewQuery(sample));
  const [destination, setDestination] = useState<DestinationKind>("duckdb");
  const create = useCreateAndRun();
  const navigate = useNavigate({ from: "/start" });
  const reload = () => void preview.refetch();
  return (
    <>
      <section aria-labelledby="sample-title" className="card grid grid-cols-[minmax(0,1fr)] gap-2 p-4">
        <h2 id="sample-title" className="font-semibold">
          The first ten records
        </h2>
        {/* The place is kept free, so that the button below does not move under the pointer. */}
        <div className="min-h-[22rem]">
          {preview.isPending && <Skeletons rows={10} />}
          {preview.isError && <ErrorNotice error={preview.error} retry={reload} />}
          {preview.data?.failure && <FailureNotice {...preview.data.failure} retry={reload} />}
          {preview.data?.ok && <PreviewTable preview={preview.data} />}
        </div>
      </section>
      <section aria-labelledby="destination-title" className="card grid gap-3 p-4">
        <h2 id="destination-title" className="font-semibold">
          Destination
        </h2>
        <DestinationChoice value={destination} onChange={setDestination} />
        {create.isError && <ErrorNotice error={create.error} />}
        <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
          <Button
            look="primary"
            disabledReason={create.isPending ? "Creating" : null}
            onClick={() =>
              create.mutate(
                { sample, destination },
                { onSuccess: ({ id }) => void navigate({ search: { sample, run: id } }) },
              )
            }
          >
            {create.isPending ? "Creating…" : "Create pipeline and run"}
          </Button>
          <span className="text-soft">You can add a schedule later.</span>
        </div>
      </section>
    </>
  );
}

function DestinationChoice({
  value,
  onChange,
}: {
  value: DestinationKind;
  onChange: (kind: DestinationKind) => void;
}) {
  return (
    <fieldset>
      <legend className="mb-2 text-soft">Stored in Drover, so none of these needs settings.</legend>
      <div className="grid gap-2 sm:grid-cols-3">
        {Object.entries(DESTINATIONS).map(([kind, { title, text }]) => (
          <label
            key={kind}
            className={classNames(
              "flex cursor-pointer gap-2.5 rounded-card border p-3 hover:bg-hover",
              kind === value ? "border-ink" : "border-line",
            )}
          >
            <input
              type="radio"
              name="destination"
              className="mt-1 self-start"
              checked={kind === value}
              onChange={() => onChange(kind as DestinationKind)}
            />
            <span>
              <span className="font-medium">{title}</span>
              <span className="block text-soft">{text}</span>
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

function FirstRun({ id }: { id: string }) {
  const { data: run, error, refetch } = useQuery(firstRunQuery(id));
  const navigate = useNavigate({ from: "/start" });
  const [stream, setStream] = useState<string>();
  if (error && !run) return <ErrorNotice error={error} retry={() => void refetch()} />;
  if (!run) return <Skeletons />;
  return (
    <>
      <section aria-label="The first run" className="card flex flex-wrap items-center gap-x-3 gap-y-2 p-4">
        <StatusBadge status={run.status} />
        <p role="status" className="mr-auto min-w-0">
          {statusInWords(run)}
        </p>
        <Link
          to="/pipelines/$pipelineId"
          params={{ pipelineId: run.pipeline.id }}
          className={buttonClasses()}
        >
          Open the pipeline
        </Link>
        <Link to="/pipelines/new" className={buttonClasses()}>
          Connect your own source
        </Link>
      </section>
      {run.status === "succeeded" && (
        <RecordsPanel of={{ kind: "run", id: run.id }} stream={stream} onSelectStream={setStream} />
      )}
      {isLive(run.status) && (
        <div className="card">
          <Skeletons rows={10} />
        </div>
      )}
      {(run.status === "failed" || run.status === "cancelled") && (
        <div className="flex flex-wrap gap-2">
          <Link to="/runs/$runId" params={{ runId: run.id }} className={buttonClasses("primary")}>
            See why on the page of the run
          </Link>
          <Button onClick={() => void navigate({ search: ({ sample }) => ({ sample }) })}>
            Choose again
          </Button>
        </div>
      )}
    </>
  );
}

function statusInWords({ status, pipeline, progress, failure }: Run): string {
  if (status === "succeeded")
    return `${pipeline.name}: ${countWithNoun(progress.written, "record")} arrived. Here they are.`;
  if (status === "failed") return `${pipeline.name} failed. ${failure?.message ?? ""}`;
  if (status === "cancelled") return `${pipeline.name} was cancelled.`;
  if (status === "pending") return `${pipeline.name} is waiting for a free worker.`;
  return `${pipeline.name}: ${countWithNoun(progress.written, "record")} so far.`;
}
