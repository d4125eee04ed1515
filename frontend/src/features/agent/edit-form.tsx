import { useQueryClient, type QueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState, type ReactNode } from "react";
import { fieldMessages, nameTakenMessage } from "@/api/problem";
import type { CodeMessage } from "@/api/types";
import { Button } from "@/components/button";
import { CodeEditor } from "@/components/code-editor";
import { Field } from "@/components/field";
import { ErrorNotice } from "@/components/notice";
import { DecisionForm } from "./decision-form";
import type { JsonRecord, RequestItem } from "./transcript";
import { ArgumentsForm, isWithin, type EditedArguments } from "./arguments-form";
import { editableFields, type EditableFields, type EditField } from "./edit-fields";
import { scheduleOfWordsQuery, timeZoneOf } from "./schedule-field";
import { argumentsToSend, valueAt, withValue } from "./edit-values";

const NO_MESSAGES: CodeMessage[] = [];
const TIMING_FIELDS = ["cron", "interval_seconds"];

interface Props {
  request: RequestItem;
  error: unknown;
  isDone: boolean;
  onBack: () => void;
  onSend: (edited: unknown) => void;
  children?: ReactNode;
}

type Messages = Record<string, string>;

/**
 * The arguments of a tool call in a form or as JSON, and code in an editor of its own. The server checks them like those
 * of the agent.
 */
export function EditForm({ request, error, isDone, onBack, onSend, children }: Props) {
  const { code: givenCode, ...others } = request.arguments;
  const hasCode = typeof givenCode === "string";
  const [code, setCode] = useState(hasCode ? givenCode : "");
  const [edited, setEdited] = useState<EditedArguments>(() => asEdited(hasCode ? others : request.arguments));
  const [text, setText] = useState<string | null>(null); // the JSON while it is edited
  const [ownMessages, setOwnMessages] = useState<Messages>({});
  const client = useQueryClient();
  const editable = editableFields(request.tool, edited.values);
  const isJson = text !== null || editable === null;
  const shownText = text ?? JSON.stringify(edited.values, null, 2);
  const messages = { ...serverMessages(error, editable), ...ownMessages };
  const form = useFocusOnError(messages);

  async function submit() {
    setOwnMessages({});
    const values = isJson
      ? parseJson(shownText, setOwnMessages)
      : await readForm(client, edited, editable, setOwnMessages);
    if (values) onSend(hasCode ? { ...values, code } : values);
  }
  async function showJson() {
    const values = await readForm(client, edited, editable, setOwnMessages);
    if (values) setText(JSON.stringify(values, null, 2));
  }
  function showForm() {
    const values = parseJson(shownText, setOwnMessages);
    if (!values) return;
    setEdited(asEdited(values));
    setOwnMessages({});
    setText(null);
  }
  return (
    <DecisionForm onSubmit={() => void submit()} onBack={onBack} isDone={isDone} label="Approve with changes">
      {hasCode && (
        // Escape closes lists of the editor, so it must not leave the form and lose the changes.
        <div onKeyDown={(event) => event.key === "Escape" && event.stopPropagation()}>
          <CodeEditor label="Code" value={code} onChange={setCode} messages={NO_MESSAGES} minHeight="10rem" />
        </div>
      )}
      <div ref={form} className="grid min-w-0 gap-3">
        {editable && <ViewButtons isJson={isJson} onForm={showForm} onJson={() => void showJson()} />}
        {isJson ? (
          <JsonField
            label={hasCode ? "Other arguments" : "Arguments"}
            text={shownText}
            error={allMessages(messages)}
            onChange={setText}
          />
        ) : (
          <>
            <ArgumentsForm editable={editable} edited={edited} messages={messages} onChange={setEdited} />
            <OtherMessages messages={messagesWithoutField(messages, editable)} />
          </>
        )}
      </div>
      {children}
      {error != null && Object.keys(messages).length === 0 && <ErrorNotice error={error} />}
    </DecisionForm>
  );
}

function asEdited(values: JsonRecord): EditedArguments {
  return { values, original: values, removed: new Set(), schedules: {} };
}

/** Moves the focus to the first field with an error, so that a screen reader says it. */
function useFocusOnError(messages: Messages) {
  const form = useRef<HTMLDivElement>(null);
  const shown = allMessages(messages);
  useEffect(() => {
    if (shown) form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
  }, [shown]);
  return form;
}

/** Returns the edited JSON. If it is not valid, shows why and returns null. */
function parseJson(text: string, show: (messages: Messages) => void): JsonRecord | null {
  try {
    const values: unknown = JSON.parse(text);
    if (typeof values === "object" && values !== null && !Array.isArray(values)) return values as JsonRecord;
    show({ "": "This is not a JSON object." });
  } catch (problem) {
    show({ "": `This is not valid JSON: ${(problem as Error).message}` });
  }
  return null;
}

/** Returns the arguments of the form. If a schedule is not understood, shows why and returns null. */
async function readForm(
  client: QueryClient,
  { values, original, removed, schedules }: EditedArguments,
  editable: EditableFields | null,
  show: (messages: Messages) => void,
): Promise<JsonRecord | null> {
  let result: unknown = values;
  for (const [path, words] of Object.entries(schedules)) {
    const before = valueAt(values, path);
    try {
      const found = await client.fetchQuery(scheduleOfWordsQuery(words, timeZoneOf(before)));
      result = withValue(result, path, withTiming(before, found.schedule));
    } catch (problem) {
      show({ [path]: fieldMessages(problem).words ?? "The schedule could not be read. Try again." });
      return null;
    }
  }
  return argumentsToSend(result as JsonRecord, fieldsOf(editable), removed, original);
}

/** The schedule with another timing. Its other values, such as what happens if runs overlap, stay. */
function withTiming(before: unknown, timing: unknown): unknown {
  if (timing === null) return null;
  const others = Object.entries((before ?? {}) as JsonRecord).filter(
    ([name]) => !TIMING_FIELDS.includes(name),
  );
  return { ...Object.fromEntries(others), ...(timing as JsonRecord) };
}

function fieldsOf(editable: EditableFields | null): EditField[] {
  return editable ? [...editable.fields, ...editable.groups.flatMap(({ fields }) => fields)] : [];
}

/** The messages by path. A name that is taken is shown at the only name that the form has. */
function serverMessages(error: unknown, editable: EditableFields | null): Messages {
  const messages = fieldMessages(error);
  const names = fieldsOf(editable).filter(({ path }) => path.split(".").at(-1) === "name");
  const taken = nameTakenMessage(error);
  return taken && names.length === 1 ? { ...messages, [names[0]!.path]: taken } : messages;
}

function messagesWithoutField(messages: Messages, editable: EditableFields): Messages {
  const fields = fieldsOf(editable);
  return Object.fromEntries(
    Object.entries(messages).filter(([path]) => !fields.some((field) => isWithin(path, field))),
  );
}

function allMessages(messages: Messages): string {
  return Object.entries(messages)
    .map(([field, message]) => (field ? `${field}: ${message}` : message))
    .join(" ");
}

function OtherMessages({ messages }: { messages: Messages }) {
  const text = allMessages(messages);
  if (!text) return null;
  return (
    <p role="alert" className="text-xs wrap-anywhere text-bad">
      {text}
    </p>
  );
}

interface ViewButtonsProps {
  isJson: boolean;
  onForm: () => void;
  onJson: () => void;
}

function ViewButtons({ isJson, onForm, onJson }: ViewButtonsProps) {
  return (
    <div role="group" aria-label="View" className="flex gap-1">
      <Button size="small" aria-pressed={!isJson} look={isJson ? "quiet" : "plain"} onClick={onForm}>
        Form
      </Button>
      <Button size="small" aria-pressed={isJson} look={isJson ? "plain" : "quiet"} onClick={onJson}>
        As JSON
      </Button>
    </div>
  );
}

interface JsonFieldProps {
  label: string;
  text: string;
  error: string;
  onChange: (text: string) => void;
}

function JsonField({ label, text, error, onChange }: JsonFieldProps) {
  return (
    <Field
      label={label}
      hint="Your changes are checked, then carried out as you have written them."
      error={error || null}
    >
      {(control) => (
        <textarea
          {...control}
          autoFocus
          rows={Math.min(18, text.split("\n").length + 1)}
          spellCheck={false}
          className="control font-mono text-[0.78rem]"
          value={text}
          onChange={({ target }) => onChange(target.value)}
        />
      )}
    </Field>
  );
}
