import { lazy, Suspense } from "react";
import { CodeBoundary } from "./code-boundary";
import type { CodeProps } from "./code-mirror";
import { loadCode } from "./lazy-code";
import { Skeletons } from "./notice";

const PythonMirror = lazy(
  loadCode(() => import("./code-languages/python").then(({ PythonMirror }) => ({ default: PythonMirror }))),
);
const SqlMirror = lazy(
  loadCode(() => import("./code-languages/sql").then(({ SqlMirror }) => ({ default: SqlMirror }))),
);

/**
 * An editor of Python or SQL. The CodeMirror library is loaded when the first editor is shown. If it cannot be loaded, a plain
 * text field takes its place, so that what the user has typed on the page is not lost by a reload.
 */
export function CodeEditor({ language = "python", ...props }: CodeProps & { language?: "python" | "sql" }) {
  const Mirror = language === "sql" ? SqlMirror : PythonMirror;
  return (
    <CodeBoundary fallback={<PlainEditor {...props} />}>
      <Suspense fallback={<Skeletons rows={5} />}>
        <Mirror {...props} />
      </Suspense>
    </CodeBoundary>
  );
}

function PlainEditor({ label, value, onChange, readOnly, isInvalid }: CodeProps) {
  return (
    <textarea
      className="control font-mono text-[0.78rem]!"
      aria-label={label}
      rows={Math.min(30, Math.max(8, value.split("\n").length))}
      spellCheck={false}
      aria-invalid={isInvalid || undefined}
      readOnly={readOnly}
      value={value}
      onChange={({ target }) => onChange(target.value)}
    />
  );
}
