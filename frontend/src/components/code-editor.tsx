import { lazy, Suspense } from "react";
import type { CodeProps } from "./code-mirror";
import { Skeletons } from "./notice";

const CodeMirror = lazy(() => import("./code-mirror").then(({ CodeMirror }) => ({ default: CodeMirror })));

/** A Python editor. The CodeMirror library is loaded when the first editor is shown. */
export function CodeEditor(props: CodeProps) {
  return (
    <Suspense fallback={<Skeletons rows={5} />}>
      <CodeMirror {...props} />
    </Suspense>
  );
}
