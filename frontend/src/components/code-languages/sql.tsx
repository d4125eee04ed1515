import { PostgreSQL, sql } from "@codemirror/lang-sql";
import { CodeMirror, type CodeProps } from "@/components/code-mirror";

const SQL = [sql({ dialect: PostgreSQL, upperCaseKeywords: true })];

/** Tab goes to the next field, as everywhere in a form of settings. */
export function SqlMirror(props: CodeProps) {
  return <CodeMirror {...props} language={SQL} />;
}
