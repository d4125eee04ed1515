// @vitest-environment jsdom
import { EditorView } from "@codemirror/view";
import { act, cleanup, render, screen } from "@testing-library/react";
import { useLayoutEffect, useState } from "react";
import { afterEach, expect, it } from "vitest";
import { CodeMirror } from "./code-mirror";

const NO_LANGUAGE: [] = [];

afterEach(cleanup);

/** Keeps the code, and types again right after the first change was rendered, before any effect that React delays. */
function HastyUser() {
  const [code, setCode] = useState("before");
  useLayoutEffect(() => {
    if (code === "first") type("second");
  }, [code]);
  return (
    <main>
      <CodeMirror label="Code" value={code} onChange={setCode} messages={[]} language={NO_LANGUAGE} />
      <output>{code}</output>
      <button type="button" onClick={() => setCode("template")}>
        Use the template
      </button>
    </main>
  );
}

function editor(): EditorView {
  const root = document.querySelector("main > div")!.shadowRoot!;
  return EditorView.findFromDOM(root.querySelector<HTMLElement>(".cm-editor")!)!;
}

function type(text: string): void {
  const view = editor();
  view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
}

it("keeps what is typed while the page still renders the change before it", () => {
  render(<HastyUser />);
  act(() => type("first"));
  expect(editor().state.doc.toString()).toBe("second");
  expect(screen.getByRole("status").textContent).toBe("second");
});

it("shows the code with which the page replaces the typed code", () => {
  render(<HastyUser />);
  act(() => type("typed"));
  act(() => screen.getByRole("button").click());
  expect(editor().state.doc.toString()).toBe("template");
});
