import { Button } from "@/components/button";
import { isObject, type Config, type Schema } from "@/components/schema-form/schema";
import { SchemaForm } from "@/components/schema-form/schema-form";
import type { JsonRecord } from "./transcript";

/** The server's form for the settings of a preview. It is bound to the hosts that the code may reach. */
export interface SourceSettingsForm {
  schema: Schema;
  hosts: string[];
  /** Whether the user has entered the settings for these hosts before. */
  filled: boolean;
}

export function readSettingsForm(form: JsonRecord | null): SourceSettingsForm | null {
  if (form?.kind !== "source_settings") return null;
  return {
    schema: isObject(form.schema) ? form.schema : {},
    hosts: Array.isArray(form.hosts) ? form.hosts.map(String) : [],
    filled: form.filled === true,
  };
}

/** Returns a message for each required setting that has no value. */
export function missingSettings({ schema }: SourceSettingsForm, config: Config): Record<string, string> {
  const required = Array.isArray(schema.required) ? schema.required.map(String) : [];
  const missing = required.filter((name) => config[name] === undefined || config[name] === "");
  return Object.fromEntries(missing.map((name) => [name, "Enter a value."]));
}

interface Props {
  form: SourceSettingsForm;
  /** Null while the settings that were entered before are used again. */
  config: Config | null;
  onChange: (config: Config) => void;
  errors: Record<string, string>;
}

/**
 * The settings with which code is previewed, such as a token. They go directly to the server and not into the
 * conversation, so the agent and its language model never see them.
 */
export function SettingsForm({ form, config, onChange, errors }: Props) {
  if (config === null) {
    return (
      <div className="grid justify-items-start gap-2 text-soft">
        <p>The settings that you entered before are used again.</p>
        <Button size="small" onClick={() => onChange({})}>
          Enter other settings
        </Button>
      </div>
    );
  }
  return (
    <fieldset className="grid min-w-0 gap-3">
      <legend className="mb-2 font-medium">Settings for the preview</legend>
      <SchemaForm schema={form.schema} value={config} onChange={onChange} errors={errors} />
      <p className="text-xs wrap-anywhere text-faint">
        Sent to Drover directly and stored encrypted. The agent does not see them. They are used only for code
        that reaches no other hosts than {form.hosts.join(", ") || "none"}.
      </p>
    </fieldset>
  );
}
