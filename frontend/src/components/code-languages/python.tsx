import { indentWithTab } from "@codemirror/commands";
import { python } from "@codemirror/lang-python";
import { indentUnit } from "@codemirror/language";
import { keymap } from "@codemirror/view";
import { CodeMirror, type CodeProps } from "@/components/code-mirror";

const PYTHON = [python(), indentUnit.of("    "), keymap.of([indentWithTab])];

export function PythonMirror(props: CodeProps) {
  return <CodeMirror {...props} language={PYTHON} />;
}
