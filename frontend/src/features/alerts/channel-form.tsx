import { useQuery } from "@tanstack/react-query";
import { messagesBelow } from "@/api/problem";
import type { AlertChannel, AlertKind } from "@/api/types";
import { Button } from "@/components/button";
import { ChoiceField } from "@/components/choice-field";
import { TextField } from "@/components/field";
import { SchemaForm } from "@/components/schema-form/schema-form";
import { withoutEmptyFields, type Config } from "@/components/schema-form/schema";
import { settingsInWords } from "@/components/schema-form/settings-in-words";
import { QueryContent } from "@/components/section";
import { showSuccess } from "@/components/toast";
import { VersionedForm, type FormFields } from "@/components/versioned-form";
import type { Values } from "@/format/merge";
import { freshTiming, timingInWords, type Timing } from "./timing";
import { TimingFields } from "./timing-fields";
import { channelQuery, useChangeChannel, useCreateChannel } from "./queries";

const LABELS = { kind: "Kind", name: "Name", settings: "Settings", timing: "Messages are sent" };

interface NewProps {
  kinds: AlertKind[];
  onClose: () => void;
}

export function NewChannel({ kinds, onClose }: NewProps) {
  const create = useCreateChannel();
  const fresh: Values = {
    kind: kinds[0]?.kind ?? "",
    name: "",
    settings: {},
    timing: freshTiming("at_once"),
  };
  const kindNamed = (name: unknown) => kinds.find(({ kind }) => kind === name);
  return (
    <div className="mb-5 rounded-card border border-line p-4">
      <h3 className="mb-3 font-semibold">New channel</h3>
      <VersionedForm
        title="New channel"
        saved={fresh}
        save={create}
        labels={LABELS}
        saveLabel="Create channel"
        onSave={({ kind, ...values }) =>
          create.mutate(
            { kind: kind as AlertChannel["kind"], ...bodyOf(values) },
            {
              onSuccess: ({ name }) => {
                showSuccess(`${name} was created. Test it, then choose it in a rule.`);
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
        {(fields) => (
          <>
            <ChoiceField
              label={LABELS.kind}
              autoFocus
              hint={kindNamed(fields.values.kind)?.description}
              error={fields.messages.kind}
              words={Object.fromEntries(kinds.map(({ kind, title }) => [kind, title]))}
              value={String(fields.values.kind)}
              onChange={(kind) =>
                fields.change({
                  kind,
                  settings: {},
                  timing: timingFor(kindNamed(kind), fields.values.timing as Timing),
                })
              }
            />
            <ChannelFields {...fields} kind={kindNamed(fields.values.kind)} />
          </>
        )}
      </VersionedForm>
    </div>
  );
}

interface EditProps extends NewProps {
  id: string;
}

export function EditChannel({ id, kinds, onClose }: EditProps) {
  const opened = useQuery({ ...channelQuery(id), staleTime: 0 });
  const save = useChangeChannel(id);
  return (
    <div className="mt-3 rounded-card border border-line p-4">
      <QueryContent query={opened}>
        {({ name, settings, timing, kind: ofKind, etag }) => {
          const kind = kinds.find(({ kind }) => kind === ofKind);
          return (
            <VersionedForm
              title={`Edit ${name}`}
              saved={{ name, settings, timing }}
              save={save}
              labels={LABELS}
              textOf={(field, value) =>
                field === "settings" && kind
                  ? inWords(kind, value as Config)
                  : field === "timing"
                    ? timingInWords(value as Timing)
                    : undefined
              }
              onSave={(values, _changed, done) =>
                save.mutate(
                  { etag, change: bodyOf(values) },
                  {
                    onSuccess: () => {
                      done();
                      showSuccess(`${String(values.name)} was saved.`);
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
              {(fields) => <ChannelFields {...fields} kind={kind} />}
            </VersionedForm>
          );
        }}
      </QueryContent>
    </div>
  );
}

/** What the server is sent. A secret that the form shows as set is kept. */
function bodyOf({ name, settings, timing }: Values) {
  return {
    name: String(name).trim(),
    settings: withoutEmptyFields(settings as Config),
    timing: timing as Timing,
  };
}

function inWords(kind: AlertKind, settings: Config): string {
  const lines = settingsInWords(kind.settings, settings);
  return lines.map(({ title, text }) => `${title}: ${text}`).join("\n");
}

/** The timing that a channel of this kind can have. */
function timingFor(kind: AlertKind | undefined, timing: Timing): Timing {
  return kind?.opens_incidents && timing.kind === "digest" ? freshTiming("at_once") : timing;
}

function ChannelFields({ values, change, messages, kind }: FormFields & { kind: AlertKind | undefined }) {
  return (
    <>
      <TextField
        label={LABELS.name}
        required
        maxLength={120}
        value={String(values.name)}
        onChange={({ target }) => change({ name: target.value })}
        error={messages.name}
      />
      {kind && (
        <SchemaForm
          key={kind.kind}
          schema={kind.settings}
          value={values.settings as Config}
          onChange={(settings) => change({ settings })}
          errors={messagesBelow(messages, "settings")}
        />
      )}
      <TimingFields
        timing={values.timing as Timing}
        hasDigest={kind !== undefined && !kind.opens_incidents}
        onChange={(timing) => change({ timing })}
        errors={messagesBelow(messages, "timing")}
      />
    </>
  );
}
