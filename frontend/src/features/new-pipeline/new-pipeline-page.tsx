import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useCallback, useMemo } from "react";
import { openAgentPanel, showInAgentPanel } from "@/agent-panel";
import { agentStatusQuery } from "@/api/agent-status";
import { fieldMessages, messagesBelow } from "@/api/problem";
import { Button } from "@/components/button";
import { PageHeader } from "@/components/page";
import { showError, showSuccess } from "@/components/toast";
import { messageOfRule } from "@/format/fields";
import { patternList } from "@/format/patterns";
import { scheduleInWords } from "@/format/schedule";
import { useHasPermission } from "@/session/use-session";
import { DestinationStep } from "./destination-step";
import { type StreamDraft } from "@/components/streams/stream-draft";
import { EMPTY_DRAFT, type Draft } from "./draft";
import { useKeptProgress } from "./kept-draft";
import { useCreatePipeline, useStartFirstRun } from "./queries";
import { ReviewStep } from "./review-step";
import { ScheduleStep } from "./schedule-step";
import { SourceStep } from "./source-step";
import { Step } from "./step";
import { errorsByStream, streamsInWords } from "@/components/streams/stream-choice";
import { StreamStep } from "./stream-step";

const STEPS = ["Source", "Streams", "Destination", "Schedule", "Review"] as const;
const LIMIT_FIELDS = ["allow_empty", "max_rejected_share"];
/** The fields of an only stream that are set in the step of the destination. */
const TABLE_FIELDS = ["table", "write_mode"];

export function NewPipelinePage() {
  const { progress, setProgress, isContinued, startOver, forget, round } = useKeptProgress();
  const { draft, openStep, furthestStep } = progress;
  const setOpenStep = (step: number) => setProgress((before) => ({ ...before, openStep: step }));
  const changeDraft = (change: Partial<Draft>) =>
    setProgress((before) => ({ ...before, draft: { ...before.draft, ...change } }));
  const create = useCreatePipeline();
  const start = useStartFirstRun();
  const navigate = useNavigate();
  const openPipeline = (pipelineId: string) =>
    void navigate({ to: "/pipelines/$pipelineId", params: { pipelineId } });
  const errors = fieldMessages(create.error);
  const changeStreams = useCallback(
    (change: (streams: StreamDraft[]) => StreamDraft[]) =>
      setProgress((before) => ({
        ...before,
        draft: { ...before.draft, streams: change(before.draft.streams) },
      })),
    [setProgress],
  );
  const patternErrors = Object.fromEntries(
    Object.entries(errors).map(([field, message]) => [field, messageOfRule(field, message)]),
  );
  const submitted = create.variables?.streams;
  const streamErrors = useMemo(
    () => errorsOfStreamStep(fieldMessages(create.error), submitted ?? []),
    [create.error, submitted],
  );

  function finishStep(step: number, change: Partial<Draft>) {
    const next = step + 1;
    setProgress((before) => ({
      draft: { ...before.draft, ...change },
      openStep: next,
      // Another source has other streams, so the later steps must be completed again.
      furthestStep: step === 0 ? next : Math.max(before.furthestStep, next),
    }));
    create.reset();
  }

  function createPipeline(choice: Pick<Draft, "name" | "tags" | "transform">, runs: boolean) {
    const finalDraft = { ...draft, ...choice };
    changeDraft(choice);
    create.mutate(finalDraft, {
      onSuccess: (pipeline) => {
        forget();
        showSuccess(`${pipeline.name} was created.`);
        if (!runs) return openPipeline(pipeline.id);
        start.mutate(pipeline.id, {
          onSuccess: ({ id }) => void navigate({ to: "/runs/$runId", params: { runId: id } }),
          onError: (error) => {
            showError(error);
            openPipeline(pipeline.id);
          },
        });
      },
      onError: (error) => setOpenStep(stepOf(Object.keys(fieldMessages(error)), draft.streams.length)),
    });
  }

  const stepContents = [
    <SourceStep
      key={`${round} ${draft.source?.connectorId}`}
      source={draft.source}
      onDone={(source) => finishStep(0, { ...EMPTY_DRAFT, source })}
    />,
    draft.source?.connectorId && (
      <StreamStep
        connectorId={draft.source.connectorId}
        patterns={draft.patterns}
        onChangePatterns={(patterns) => changeDraft({ patterns })}
        patternErrors={patternErrors}
        chosen={draft.streams}
        errors={streamErrors}
        listError={errors.streams}
        onChange={changeStreams}
        onDone={() => finishStep(1, {})}
      />
    ),
    <DestinationStep
      draft={draft}
      errors={messagesBelow(errors, "streams.0")}
      connectorError={errors["destination.connector_id"] ?? errors.destination}
      onDone={(choice) => finishStep(2, choice)}
    />,
    <ScheduleStep
      schedule={draft.schedule}
      errors={messagesBelow(errors, "schedule")}
      onDone={(schedule) => finishStep(3, { schedule })}
    />,
    <ReviewStep
      draft={draft}
      saving={create.isPending || start.isPending}
      error={create.error}
      errors={errors}
      onChange={changeDraft}
      onDone={createPipeline}
    />,
  ];
  const only = !draft.patterns && draft.streams.length === 1 ? draft.streams[0] : undefined;
  const summaries = [
    draft.source?.label ?? null,
    draft.patterns ? patternList(draft.patterns.match).join(", ") : streamsInWords(draft.streams),
    [draft.destination?.label, only?.table].filter(Boolean).join(" · "),
    scheduleInWords(draft.schedule),
    null,
  ];
  return (
    <div className="mx-auto max-w-4xl px-4 py-5 md:px-6">
      <PageHeader title="New pipeline">
        <DescribeButton />
        {isContinued && (
          <Button
            onClick={() => {
              create.reset();
              startOver();
            }}
          >
            Start over
          </Button>
        )}
      </PageHeader>
      {isContinued && (
        <p role="status" className="mb-3 text-soft">
          This is the pipeline that you began before.
        </p>
      )}
      <ol className="grid gap-3">
        {STEPS.map((title, index) => (
          <Step
            key={title}
            number={index + 1}
            title={title}
            summary={summaries[index] ?? null}
            state={index === openStep ? "open" : index <= furthestStep && index < 4 ? "done" : "later"}
            onOpen={() => setOpenStep(index)}
          >
            {stepContents[index]}
          </Step>
        ))}
      </ol>
    </div>
  );
}

/** Offers to describe the pipeline to the agent instead, if a language model answers there. */
function DescribeButton() {
  const canUseAgent = useHasPermission()("agent.use");
  const { data: status } = useQuery({ ...agentStatusQuery, enabled: canUseAgent });
  if (!canUseAgent || status?.mode !== "model") return null;
  return (
    <Button
      onClick={() => {
        showInAgentPanel(null);
        openAgentPanel();
      }}
    >
      Describe it to the agent
    </Button>
  );
}

/** Returns the step that contains the first field with an error. */
function stepOf(fields: string[], streamCount: number): number {
  const field = fields[0] ?? "";
  if (field.startsWith("destination")) return 2;
  if (field.startsWith("schedule")) return 3;
  if (/^(patterns|naming|new_streams)/.test(field)) return 1;
  const [list, , name = ""] = field.split(".");
  if (list !== "streams" || name === "transforms") return 4;
  return isOfDestinationStep(name, streamCount) ? 2 : 1;
}

function isOfDestinationStep(name: string, streamCount: number): boolean {
  return LIMIT_FIELDS.includes(name) || (streamCount === 1 && TABLE_FIELDS.includes(name));
}

/** Returns the server's messages by stream and field, without those that another step shows. */
function errorsOfStreamStep(errors: Record<string, string>, streams: StreamDraft[]) {
  const own = Object.entries(errors).filter(([path]) => stepOf([path], streams.length) === 1);
  return errorsByStream(Object.fromEntries(own), streams);
}
