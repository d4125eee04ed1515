// @vitest-environment jsdom
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import { TextField } from "./field";

afterEach(cleanup);

describe("the action of a field", () => {
  it("is in one row with the control, and the messages are outside that row", () => {
    render(<TextField label="Name" hint="One line." error="Taken." action={<button>Save</button>} />);
    const row = screen.getByRole("button", { name: "Save" }).parentElement!;
    expect(row.contains(screen.getByLabelText("Name"))).toBe(true);
    expect(row.textContent).toBe("Save");
  });
});
