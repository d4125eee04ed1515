import type { CodeMessage } from "@/api/types";
import { Button } from "./button";
import { CodeEditor } from "./code-editor";

const EXAMPLE = `def transform(record):
    """Called for each record. Return the record, a list of records, or None to drop it."""
    return record
`;
const NO_MESSAGES: CodeMessage[] = [];

interface Props {
  code: string;
  onChange: (code: string) => void;
  /** The server's error message, such as "Line 3: …". */
  error?: string | null;
}

/** An editor for the Python function that changes each record. */
export function TransformEditor({ code, onChange, error }: Props) {
  return (
    <div className="grid gap-2">
      <p className="text-soft">
        Drover calls your function <code className="font-mono">transform(record)</code> for each record, in a
        sandbox without network access. Return the record, a list of records, or None to drop the record. Use
        the preview to see the result.
      </p>
      {code === "" ? (
        <div>
          <Button onClick={() => onChange(EXAMPLE)}>Start from an example</Button>
        </div>
      ) : (
        <CodeEditor
          label="Transform code"
          value={code}
          onChange={onChange}
          messages={error ? messagesOf(error) : NO_MESSAGES}
          minHeight="10rem"
        />
      )}
      {error && (
        <p role="alert" className="text-bad">
          {error}
        </p>
      )}
    </div>
  );
}

function messagesOf(error: string): CodeMessage[] {
  const match = /^Line (\d+): (.*)$/.exec(error);
  if (!match) return NO_MESSAGES;
  return [{ line: Number(match[1]), column: 1, message: match[2]!, severity: "error" }];
}

/** The error message of the transform. Its field differs, because requests contain the definition at different paths. */
export function transformError(errors: Record<string, string>): string | null {
  const field = Object.keys(errors).find((path) => /(^|\.)transforms(\.|$)/.test(path));
  return field ? errors[field]! : null;
}
