import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { EditorState, type Extension, type Text } from "@codemirror/state";
import { EditorView, keymap } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { basicSetup } from "codemirror";
import { useEffect, useEffectEvent, useLayoutEffect, useRef } from "react";
import type { CodeMessage } from "@/api/types";
import { classNames } from "./class-names";

export interface CodeProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  messages: CodeMessage[];
  readOnly?: boolean;
  /** The position for the cursor. Pass a new object to move the cursor to the same position again. */
  cursorTarget?: { line: number; column: number } | null;
  onSave?: () => void;
  /** The minimum height, as a CSS length. */
  minHeight?: string;
  /** The height from which on the code scrolls, as a CSS length. */
  maxHeight?: string;
  isInvalid?: boolean;
}

interface Props extends CodeProps {
  /** The language with its keys. It must be the same object each time, because another one starts the editor anew. */
  language: Extension;
}

/**
 * An editor of code that shows the server's messages beside the lines. It is rendered in a shadow root, because there
 * CodeMirror adds its styles as adopted style sheets. The Content-Security-Policy blocks style elements.
 */
export function CodeMirror({
  language,
  label,
  value,
  onChange,
  messages,
  readOnly = false,
  cursorTarget,
  onSave,
  minHeight = "24rem",
  maxHeight = "calc(100dvh - 15rem)",
  isInvalid = false,
}: Props) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const currentValue = useEffectEvent(() => value);
  const notifyChange = useEffectEvent((code: string) => onChange(code));
  const save = useEffectEvent(() => onSave?.());

  useEffect(() => {
    const root = host.current!.shadowRoot ?? host.current!.attachShadow({ mode: "open" });
    const editor = new EditorView({
      parent: root,
      root,
      state: EditorState.create({
        doc: currentValue(), // The next effect applies later changes of `value`.
        extensions: [
          basicSetup,
          language,
          lintGutter(),
          editorTheme,
          EditorView.theme({ "&": { minHeight, maxHeight } }),
          syntaxHighlighting(colours),
          EditorView.lineWrapping,
          EditorState.readOnly.of(readOnly),
          EditorView.editable.of(!readOnly),
          // With `tabindex` the keyboard can also scroll code that cannot be edited.
          EditorView.contentAttributes.of({ "aria-label": label, "aria-multiline": "true", tabindex: "0" }),
          keymap.of([{ key: "Mod-s", preventDefault: true, run: () => (save(), true) }]),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) notifyChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = editor;
    return () => editor.destroy();
  }, [language, label, readOnly, minHeight, maxHeight]);

  // A layout effect: between rendering and a delayed effect the user can type, and `value` would replace what was typed.
  useLayoutEffect(() => {
    const editor = view.current;
    if (!editor || editor.state.doc.toString() === value) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
  }, [value]);

  useEffect(() => {
    const editor = view.current;
    if (!editor) return;
    const { doc } = editor.state;
    const diagnostics = messages.map(({ line, column, message, severity }) => {
      const from = offsetOf(doc, line, column);
      return { from, to: doc.lineAt(from).to, message, severity };
    });
    editor.dispatch(setDiagnostics(editor.state, diagnostics));
  }, [messages]);

  useEffect(() => {
    const editor = view.current;
    if (!editor || !cursorTarget) return;
    const anchor = offsetOf(editor.state.doc, cursorTarget.line, cursorTarget.column);
    editor.dispatch({ selection: { anchor }, effects: EditorView.scrollIntoView(anchor, { y: "center" }) });
    editor.focus();
  }, [cursorTarget]);

  return (
    <div
      ref={host}
      // The editor is in a shadow root, so what moves the focus to a field finds only this element.
      tabIndex={-1}
      data-wrong={isInvalid || undefined}
      onFocus={() => {
        if (!host.current?.shadowRoot?.activeElement) view.current?.focus();
      }}
      className={classNames("overflow-hidden rounded-card border", isInvalid ? "border-bad" : "border-line")}
    />
  );
}

function offsetOf(doc: Text, line: number, column: number): number {
  const textLine = doc.line(Math.min(Math.max(line, 1), doc.lines));
  return Math.min(textLine.from + Math.max(column - 1, 0), textLine.to);
}

const editorTheme = EditorView.theme({
  "&": {
    fontSize: "0.8125rem",
    backgroundColor: "var(--color-surface)",
    color: "var(--color-ink)",
  },
  "&.cm-focused": { outline: "2px solid var(--color-live)", outlineOffset: "-2px" },
  ".cm-scroller": { fontFamily: "var(--font-mono)", overflow: "auto" },
  ".cm-gutters": {
    backgroundColor: "var(--color-side)",
    color: "var(--color-faint)",
    borderRight: "1px solid var(--color-line)",
  },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--color-hover)" },
  ".cm-cursor": { borderLeftColor: "var(--color-ink)" },
  ".cm-selectionBackground, &.cm-focused .cm-selectionBackground": {
    backgroundColor: "var(--color-live-wash) !important",
  },
  ".cm-tooltip": {
    backgroundColor: "var(--color-raised)",
    color: "var(--color-ink)",
    border: "1px solid var(--color-line-strong)",
    borderRadius: "7px",
  },
});

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword, tags.modifier], color: "var(--color-live)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--color-good)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--color-brand)" },
  { tag: tags.comment, color: "var(--color-faint)", fontStyle: "italic" },
  {
    tag: [tags.definition(tags.variableName), tags.className, tags.function(tags.variableName)],
    fontWeight: "600",
  },
]);
