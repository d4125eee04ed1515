import { useQuery } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { fieldMessages, messagesBelow, nameTakenMessage } from "@/api/problem";
import { Button } from "@/components/button";
import { ConflictNotice } from "@/components/conflict-notice";
import { SaveError } from "@/components/save-error";
import { showSuccess } from "@/components/toast";
import { UncheckedParts } from "@/components/unchecked-parts";
import type { Comparison, Values } from "@/format/merge";
import { countWithNoun } from "@/format/number";
import { ConfigurationView } from "./configuration/configuration-view";
import { GeneralFields } from "./configuration/general-fields";
import { PatternSection } from "./configuration/pattern-section";
import {
  hasSnapshots,
  SideFields,
  sideText,
  useSideChoices,
  wrongSettings,
} from "./configuration/side-fields";
import { useSettingOfUrl } from "./configuration/setting-search";
import { SeveralStreamsFields } from "./configuration/several-streams-fields";
import { StreamSelection } from "./configuration/stream-selection";
import { StreamList } from "./configuration/stream-fields";
import {
  changeOf,
  errorsByField,
  keptStreams,
  labelOf,
  listedStreams,
  streamKey,
  streamValues,
  textOf,
  UNVERSIONED,
  valuesOf,
  type Side,
  type StreamValues,
} from "./configuration/values";
import { IgnoredStreams } from "./stream-decisions";
import { usePipelinePage } from "./page-context";
import { streamsOfPipelineQuery, useChangePipeline } from "./queries";
import { useAuthor } from "./use-author";

export function ConfigurationTab() {
  const { pipeline, canEdit } = usePipelinePage();
  return canEdit ? <ConfigurationForm /> : <ConfigurationView pipeline={pipeline} />;
}

/** Whether the other person's changes have made the newest version. Only versions tell who has made them. */
function areVersioned({ conflicts, theirs }: Comparison): boolean {
  return [...conflicts, ...theirs].every((field) => !UNVERSIONED.has(field));
}

function ConfigurationForm() {
  const { pipeline, configuration: edits } = usePipelinePage();
  const save = useChangePipeline(pipeline.id);
  const sources = useSideChoices("source");
  const destinations = useSideChoices("destination");
  const saved = valuesOf(pipeline);
  const { values, changed } = edits;
  const hasConflict = !save.isPending && edits.isOutdated;
  const isEdited = changed.length > 0;
  const author = useAuthor(pipeline, hasConflict && areVersioned(edits.comparison));
  const search = useSearch({ from: "/app/pipelines/$pipelineId/configuration" });
  useSettingOfUrl(search, sources.kinds.length > 0 && destinations.kinds.length > 0);

  const streams = keptStreams(values);
  const source = values.source as Side;
  const { data: ignored } = useQuery({
    ...streamsOfPipelineQuery(pipeline.id, { state: "ignored" }),
    enabled: Boolean(pipeline.config.patterns),
  });
  const destination = values.destination as Side;
  const unchecked = save.data?.unchecked ?? []; // in what was just saved
  const wrong = {
    ...(changed.includes("source") && below("source.config", wrongSettings(source, sources))),
    ...(changed.includes("destination") &&
      below("destination.config", wrongSettings(destination, destinations))),
  };
  const nameTaken = nameTakenMessage(save.error);
  const errors: Record<string, string> = {
    ...errorsByField(fieldMessages(save.error), listedStreams(values)),
    ...(nameTaken && { name: nameTaken }),
    ...wrong,
  };

  function submit(next: Values) {
    save.mutate(
      { change: changeOf(pipeline, next), etag: pipeline.etag },
      {
        onSuccess: ({ version }) => {
          edits.finish();
          showSuccess(
            version === pipeline.version ? "Saved." : `Saved as version ${version}. The next run uses it.`,
          );
        },
      },
    );
  }
  function change(changes: Values) {
    edits.change(changes);
    if (!save.isPending) save.reset();
  }
  const changeStream = (stream: string, changes: Partial<StreamValues>) =>
    change(
      Object.fromEntries(
        Object.entries(changes).map(([field, value]) => [
          streamKey(field as keyof StreamValues, stream),
          value,
        ]),
      ),
    );
  const sideTextOf = (field: string, value: unknown) => {
    if (value === undefined) return textOf(field, value);
    if (field === "source") return sideText(value as Side, sources);
    return field === "destination" ? sideText(value as Side, destinations) : textOf(field, value);
  };
  return (
    <div className="grid gap-4">
      {hasConflict && (
        <ConflictNotice
          edits={edits}
          saved={saved}
          author={author}
          labelOf={(field) => labelOf(field, streams.length > 1)}
          textOf={sideTextOf}
          isSaving={save.isPending}
          takesFocus={save.isError}
          onSave={submit}
          onContinue={save.reset}
        />
      )}
      <div key={edits.formKey} className="grid gap-4">
        <GeneralFields values={values} onChange={change} errors={errors} domain={pipeline.domain} />
        <div className="grid gap-4 @4xl/page:grid-cols-2">
          <SideFields
            role="source"
            side={source}
            choices={sources}
            onChange={(side) => change({ source: side })}
            errors={{ "": errors.source ?? "", ...messagesBelow(errors, "source") }}
          />
          <SideFields
            role="destination"
            side={destination}
            choices={destinations}
            onChange={(side) => change({ destination: side })}
            errors={{ "": errors.destination ?? "", ...messagesBelow(errors, "destination") }}
          />
        </div>
        <PatternSection
          values={values}
          onChange={change}
          errors={errors}
          sourceConnectorId={source.connector_id}
          named={listedStreams(values)}
          ignored={ignored?.results.map(({ stream }) => stream) ?? []}
        />
        {(listedStreams(values).length > 1 || values["patterns.match"] !== "") && (
          <SeveralStreamsFields
            values={values}
            onChange={change}
            errors={errors}
            hasSnapshots={hasSnapshots(source.kind, sources)}
          />
        )}
        <StreamList
          pipelineId={pipeline.id}
          streams={streams}
          opened={search.stream}
          valuesOf={(stream) => streamValues(values, stream)}
          onChange={changeStream}
          errors={errors}
          sourceConnectorId={source.connector_id}
          isChanged={(stream) => changed.some((field) => field.endsWith(`/${stream}`))}
        />
        {source.connector_id && (
          <StreamSelection
            values={values}
            errors={errors}
            connectorId={source.connector_id}
            onChange={change}
            onChangeStream={changeStream}
          />
        )}
      </div>
      <IgnoredStreams pipeline={pipeline} canEdit />
      {save.error && !nameTaken && <SaveError error={save.error} hasConflict={hasConflict} />}
      {unchecked.length > 0 && !isEdited && (
        <div
          role="status"
          data-save-bar
          className="sticky bottom-2 z-10 grid grid-cols-[1fr_auto] items-start gap-2 rounded-card border border-line bg-raised px-4 py-2.5 shadow-float"
        >
          <div className="max-h-48 overflow-y-auto">
            <UncheckedParts parts={unchecked} />
          </div>
          <Button size="small" look="quiet" onClick={save.reset}>
            Close
          </Button>
        </div>
      )}
      {isEdited && !hasConflict && (
        <SaveBar
          count={changed.length}
          disabledReason={
            save.isPending
              ? "Saving"
              : String(values.name).trim() === ""
                ? "Enter a name first"
                : Object.keys(wrong).length > 0
                  ? "Fill in the required settings, and correct the wrong ones, first"
                  : null
          }
          onSave={() => submit(values)}
          onDiscard={() => {
            edits.discard();
            save.reset();
          }}
        />
      )}
    </div>
  );
}

function below(path: string, messages: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(messages).map(([field, message]) => [`${path}.${field}`, message]),
  );
}

interface BarProps {
  count: number;
  disabledReason: string | null;
  onSave: () => void;
  onDiscard: () => void;
}

function fieldsOfPage(): HTMLElement[] {
  return [...document.querySelectorAll<HTMLElement>("#main :is(a, button, input, select, textarea)")];
}

/** Stays at the lower edge of the window while there are changes to save. Then the focus goes back to the field that had it. */
export function SaveBar({ count, disabledReason, onSave, onDiscard }: BarProps) {
  const before = useRef(-1); // the place of the field that had the focus before a button of the bar
  useEffect(
    () => () => {
      // The pressed button is gone. The form may have new elements for its fields soon, in the same order.
      setTimeout(() => {
        if (document.activeElement === document.body) fieldsOfPage()[before.current]?.focus();
      });
    },
    [],
  );
  return (
    <div
      data-save-bar
      onFocus={({ currentTarget, relatedTarget }) => {
        if (!currentTarget.contains(relatedTarget))
          before.current = fieldsOfPage().indexOf(relatedTarget as HTMLElement);
      }}
      className="sticky bottom-2 z-10 flex flex-wrap items-center gap-2 rounded-card border border-line bg-raised px-4 py-2.5 shadow-float"
    >
      <p role="status" className="mr-auto text-soft">
        {countWithNoun(count, "change")} not saved
      </p>
      <Button look="quiet" onClick={onDiscard}>
        Discard
      </Button>
      <Button
        look="primary"
        title={disabledReason ?? undefined}
        disabledReason={disabledReason}
        onClick={onSave}
      >
        {disabledReason === "Saving" ? "Saving…" : "Save"}
      </Button>
    </div>
  );
}
