import { lazy, Suspense } from "react";
import { CodeBoundary } from "./code-boundary";
import type { CodeProps } from "./code-mirror";
import { loadCode } from "./lazy-code";
import { Skeletons } from "./notice";

const CodeMirror = lazy(
  loadCode(() => import("./code-mirror").then(({ CodeMirror }) => ({ default: CodeMirror }))),
);

/**
 * A Python editor. The CodeMirror library is loaded when the first editor is shown. If it cannot be loaded, a plain
 * text field takes its place, so that what the user has typed on the page is not lost by a reload.
 */
export function CodeEditor(props: CodeProps) {
  return (
    <CodeBoundary fallback={<PlainEditor {...props} />}>
      <Suspense fallback={<Skeletons rows={5} />}>
        <CodeMirror {...props} />
      </Suspense>
    </CodeBoundary>
  );
}

function PlainEditor({ label, value, onChange, readOnly }: CodeProps) {
  return (
    <textarea
      className="control font-mono text-[0.78rem]!"
      aria-label={label}
      rows={Math.min(30, Math.max(8, value.split("\n").length))}
      spellCheck={false}
      readOnly={readOnly}
      value={value}
      onChange={({ target }) => onChange(target.value)}
    />
  );
}
