// @vitest-environment jsdom
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import { TextField } from "@/components/field";
import { Step } from "./step";

afterEach(cleanup);

function step(state: "open" | "later", error: string | null = null) {
  return (
    <Step number={3} title="Destination" summary={null} state={state} onOpen={() => {}}>
      <TextField label="Name" />
      <TextField label="Table" error={error} />
    </Step>
  );
}

describe("a step that opens", () => {
  it("has the focus on its heading", () => {
    const { rerender } = render(step("later"));
    rerender(step("open"));
    expect(document.activeElement).toBe(screen.getByRole("heading"));
  });

  it("has the focus on its first field with an error", () => {
    const { rerender } = render(step("later"));
    rerender(step("open", "Choose another table."));
    expect(document.activeElement).toBe(screen.getByLabelText("Table"));
  });

  it("leaves the focus where it is if it was open at first", () => {
    render(step("open", "Choose another table."));
    expect(document.activeElement).toBe(document.body);
  });
});
