// @vitest-environment jsdom
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import { TextField } from "./field";

afterEach(cleanup);

describe("a field's button", () => {
  it("shares the row of the control, which the messages are not in", () => {
    render(<TextField label="Name" hint="One line." error="Taken." action={<button>Save</button>} />);
    const row = screen.getByRole("button", { name: "Save" }).parentElement!;
    expect(row.contains(screen.getByLabelText("Name"))).toBe(true);
    expect(row.textContent).toBe("Save");
  });
});
