import { useQuery } from "@tanstack/react-query";
import type { FreshnessPage } from "@/api/types";
import { Button } from "@/components/button";
import { TextField } from "@/components/field";
import { PipelinePicker } from "@/components/pipeline-picker";
import { QueryContent } from "@/components/section";
import { showSuccess } from "@/components/toast";
import { VersionedForm, type FormFields } from "@/components/versioned-form";
import type { Values } from "@/format/merge";
import { freshnessPageQuery, useChangePage, useCreatePage } from "./queries";

const LABELS = { title: "Title", pipelines: "Pipelines", incident_days: "Days of incidents" };
const MAX_DAYS = 90;

/** A pipeline as the form shows it. */
interface Chosen {
  pipeline_id: string;
  pipeline_name: string;
  /** The public name. If it is empty, readers see the pipeline's own. */
  name: string;
}

export function NewPage({ onClose }: { onClose: () => void }) {
  const create = useCreatePage();
  return (
    <div className="mb-5 rounded-card border border-line p-4">
      <h3 className="mb-3 font-semibold">New freshness page</h3>
      <VersionedForm
        title="New freshness page"
        saved={{ title: "", pipelines: [], incident_days: "30" }}
        save={create}
        labels={LABELS}
        saveLabel="Create page"
        onSave={(values) =>
          create.mutate(bodyOf(values), {
            onSuccess: ({ title }) => {
              showSuccess(`${title} was created. Look at its preview, then enable it.`);
              onClose();
            },
          })
        }
        actions={() => (
          <Button look="quiet" onClick={onClose}>
            Cancel
          </Button>
        )}
      >
        {(fields) => <PageFields {...fields} takesFocus />}
      </VersionedForm>
    </div>
  );
}

export function EditPage({ id, onClose }: { id: string; onClose: () => void }) {
  const opened = useQuery({ ...freshnessPageQuery(id), staleTime: 0 });
  const save = useChangePage(id);
  return (
    <div className="mt-3 rounded-card border border-line p-4">
      <QueryContent query={opened}>
        {({ etag, ...page }) => (
          <VersionedForm
            title={`Edit ${page.title}`}
            saved={savedValues(page)}
            save={save}
            labels={LABELS}
            textOf={(field, value) => (field === "pipelines" ? inWords(value as Chosen[]) : undefined)}
            onSave={(values, _changed, done) =>
              save.mutate(
                { etag, change: bodyOf(values) },
                {
                  onSuccess: ({ title }) => {
                    done();
                    showSuccess(`${title} was saved.`);
                    onClose();
                  },
                },
              )
            }
            actions={() => (
              <Button look="quiet" onClick={onClose}>
                Cancel
              </Button>
            )}
          >
            {(fields) => <PageFields {...fields} />}
          </VersionedForm>
        )}
      </QueryContent>
    </div>
  );
}

function savedValues({ title, pipelines, incident_days }: FreshnessPage): Values {
  const chosen = pipelines.map(({ pipeline_id, pipeline_name, name }): Chosen => ({
    pipeline_id,
    pipeline_name,
    name,
  }));
  return { title, pipelines: chosen, incident_days: String(incident_days) };
}

function bodyOf({ title, pipelines, incident_days }: Values) {
  return {
    title: String(title).trim(),
    incident_days: Number(incident_days),
    pipelines: (pipelines as Chosen[]).map(({ pipeline_id, name }) => ({ pipeline_id, name: name.trim() })),
  };
}

function inWords(chosen: Chosen[]): string {
  return chosen.map(({ name, pipeline_name }) => name || pipeline_name).join("\n");
}

function PageFields({ values, change, messages, takesFocus }: FormFields & { takesFocus?: boolean }) {
  return (
    <>
      <TextField
        label={LABELS.title}
        required
        autoFocus={takesFocus}
        maxLength={120}
        hint="The heading of the page."
        error={messages.title}
        value={String(values.title)}
        onChange={({ target }) => change({ title: target.value })}
      />
      <Pipelines
        chosen={values.pipelines as Chosen[]}
        onChange={(pipelines) => change({ pipelines })}
        messages={messages}
      />
      <TextField
        label={LABELS.incident_days}
        type="number"
        required
        min={0}
        max={MAX_DAYS}
        hint="How long an incident is shown after it is over. Open ones are always shown."
        error={messages.incident_days}
        value={String(values.incident_days)}
        onChange={({ target }) => change({ incident_days: target.value })}
      />
    </>
  );
}

interface PipelinesProps {
  chosen: Chosen[];
  onChange: (chosen: Chosen[]) => void;
  messages: Record<string, string>;
}

/** The pipelines that readers see, in their order and with their public names. */
function Pipelines({ chosen, onChange, messages }: PipelinesProps) {
  function moveUp(index: number) {
    const above = chosen[index - 1]!;
    onChange(chosen.with(index - 1, chosen[index]!).with(index, above));
  }
  return (
    <fieldset className="grid min-w-0 gap-2">
      <legend className="mb-1 text-[0.8125rem] font-medium">{LABELS.pipelines}</legend>
      {messages.pipelines && <p className="text-xs text-bad">{messages.pipelines}</p>}
      <ol aria-label="Pipelines on the page" className="grid gap-3 empty:hidden">
        {chosen.map((one, index) => (
          <li key={one.pipeline_id}>
            <TextField
              label={
                <>
                  Public name of <bdi>{one.pipeline_name}</bdi>
                </>
              }
              maxLength={120}
              placeholder={one.pipeline_name}
              error={messages[`pipelines.${index}.name`] ?? messages[`pipelines.${index}.pipeline_id`]}
              value={one.name}
              onChange={({ target }) => onChange(chosen.with(index, { ...one, name: target.value }))}
              action={
                <>
                  <Button
                    disabledReason={index === 0 ? "It is the first one" : null}
                    onClick={() => moveUp(index)}
                  >
                    Up<span className="sr-only">: {one.pipeline_name}</span>
                  </Button>
                  <Button onClick={() => onChange(chosen.toSpliced(index, 1))}>
                    Remove<span className="sr-only"> {one.pipeline_name}</span>
                  </Button>
                </>
              }
            />
          </li>
        ))}
      </ol>
      <PipelinePicker
        excluded={chosen.map(({ pipeline_id }) => pipeline_id)}
        hint={chosen.length === 0 ? "Readers see only the pipelines that you add." : undefined}
        onAdd={({ id, name }) => onChange([...chosen, { pipeline_id: id, pipeline_name: name, name: "" }])}
      />
    </fieldset>
  );
}
