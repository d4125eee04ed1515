import type { CodeMessage } from "@/api/types";
import { Button } from "./button";
import { CodeEditor } from "./code-editor";

const EXAMPLE = `def transform(record):
    """Called for each record. Return the record, a list of records, or None to drop it."""
    return record
`;
const NOTHING: CodeMessage[] = [];

interface Props {
  code: string;
  onChange: (code: string) => void;
  /** What the server found wrong with it, "Line 3: …". */
  error?: string | null;
}

/** The Python that changes records between source and destination. */
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
          messages={error ? placed(error) : NOTHING}
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

function placed(error: string): CodeMessage[] {
  const found = /^Line (\d+): (.*)$/.exec(error);
  if (!found) return NOTHING;
  return [{ line: Number(found[1]), column: 1, message: found[2]!, severity: "error" }];
}

/** The server's word on the transform, wherever the document was in the request. */
export function transformError(errors: Record<string, string>): string | null {
  const place = Object.keys(errors).find((field) => /(^|\.)transforms(\.|$)/.test(field));
  return place ? errors[place]! : null;
}
