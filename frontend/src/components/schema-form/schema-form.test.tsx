// @vitest-environment jsdom
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { afterEach, describe, expect, it } from "vitest";
import { missing, pruned, type Config, type Schema } from "./schema";
import { SchemaForm } from "./schema-form";

const SCHEMA: Schema = {
  type: "object",
  required: ["host", "password"],
  properties: {
    host: { type: "string", title: "Host", description: "Name or address." },
    port: { type: "integer", title: "Port", default: 5432 },
    password: { type: "string", writeOnly: true, title: "Password" },
    tls: { enum: ["prefer", "require"], default: "prefer", title: "TLS" },
    filter: { type: "array", items: { type: "array" }, title: "Filter" },
    read_only: { type: "boolean", default: true, title: "Read-only" },
    auth: {
      title: "Login",
      anyOf: [{ $ref: "#/$defs/Key" }, { type: "null" }],
      default: null,
    },
    method: { title: "Method", oneOf: [{ $ref: "#/$defs/Key" }, { $ref: "#/$defs/User" }] },
    paging: { title: "Paging", oneOf: [{ $ref: "#/$defs/None" }, { $ref: "#/$defs/User" }] },
    own_paging: {
      title: "Own paging",
      description: "Own paging.",
      anyOf: [{ $ref: "#/$defs/None" }, { $ref: "#/$defs/User" }, { type: "null" }],
      default: null,
    },
  },
  $defs: {
    None: { title: "None", type: "object", properties: { kind: { const: "none" } } },
    Key: {
      title: "Key",
      type: "object",
      required: ["kind", "key"],
      properties: {
        kind: { const: "key" },
        key: { type: "string", title: "Secret key", format: "password" },
      },
    },
    User: {
      title: "User",
      type: "object",
      required: ["kind", "user"],
      properties: { kind: { const: "user" }, user: { type: "string", title: "User name" } },
    },
  },
};

let current: Config = {};

function Harness({ start = {}, errors = {} }: { start?: Config; errors?: Record<string, string> }) {
  const [value, setValue] = useState<Config>(start);
  const change = (next: Config) => {
    current = next;
    setValue(next);
  };
  return <SchemaForm schema={SCHEMA} value={value} onChange={change} errors={errors} />;
}

afterEach(cleanup);

describe("the settings form", () => {
  it("asks by label and gives typed values", async () => {
    const user = userEvent.setup();
    render(<Harness />);
    await user.type(screen.getByLabelText("Host"), "db.example.com");
    await user.type(screen.getByLabelText("Password"), "s3cret");
    await user.click(screen.getByText("More settings"));
    await user.type(screen.getByLabelText(/^Port/), "6543");
    await user.selectOptions(screen.getByLabelText(/^TLS/), "require");
    await user.click(screen.getByLabelText("Read-only"));
    expect(pruned(current)).toEqual({
      host: "db.example.com",
      password: "s3cret",
      port: 6543,
      tls: "require",
      read_only: false,
    });
  });

  it("never shows a stored secret, and keeps or replaces it", async () => {
    const user = userEvent.setup();
    const stored = { set: true, last4: "1234" };
    render(<Harness start={{ host: "h", password: stored }} />);
    expect(screen.getByText("Set, ends in 1234")).toBeTruthy();
    expect(screen.getByLabelText("Password").tagName).toBe("BUTTON");
    await user.click(screen.getByRole("button", { name: "Replace" }));
    const input = screen.getByLabelText("Password");
    expect(input.getAttribute("type")).toBe("password");
    await user.type(input, "new");
    expect(current.password).toBe("new");
    await user.click(screen.getByRole("button", { name: "Keep current" }));
    expect(current.password).toEqual(stored);
  });

  it("JSON that is not finished is neither kept as it was before nor sent", async () => {
    render(<Harness start={{ host: "h", password: "p", filter: { a: 1 } }} />);
    const input = screen.getByLabelText<HTMLTextAreaElement>(/^Filter/);
    fireEvent.change(input, { target: { value: '{"a": 2' } });
    expect(input.getAttribute("aria-invalid")).toBe("true");
    expect(document.getElementById(input.getAttribute("aria-describedby")!)!.textContent).toMatch(
      /not valid JSON/,
    );
    expect(missing(SCHEMA, SCHEMA, current)).toEqual(["filter"]);
    fireEvent.change(input, { target: { value: '{"a": 2}' } });
    expect(input.getAttribute("aria-invalid")).toBeNull();
    expect(missing(SCHEMA, SCHEMA, current)).toEqual([]);
    expect(current.filter).toEqual({ a: 2 });
  });

  it("an option of a union brings its own fields and its marker", async () => {
    const user = userEvent.setup();
    render(<Harness />);
    await user.selectOptions(screen.getByLabelText("Method"), "User");
    await user.type(screen.getByLabelText("User name"), "ada");
    expect(current.method).toEqual({ kind: "user", user: "ada" });
    await user.selectOptions(screen.getByLabelText("Method"), "Key");
    expect(current.method).toEqual({ kind: "key" });
  });

  it("what may be left out shows what that means, once", () => {
    render(<Harness />);
    const shown = (label: string) => {
      const select = screen.getByLabelText<HTMLSelectElement>(label);
      return [select.selectedOptions[0]!.text, [...select.options].map((option) => option.text)];
    };
    expect(shown("Paging")).toEqual(["None", ["None", "User"]]);
    expect(shown("Own paging")).toEqual(["Not set", ["Not set", "None", "User"]]);
    expect(shown("Method")).toEqual(["Choose…", ["Choose…", "Key", "User"]]);
    expect(screen.queryByText("Own paging.")).toBeNull(); // it only repeats the title
  });

  it("what an error unfolded stays open when it is corrected", async () => {
    const { rerender } = render(<Harness errors={{ port: "Must be at most 65535." }} />);
    const more = screen.getByText("More settings").closest("details")!;
    await waitFor(() => expect(more.open).toBe(true));
    await Promise.resolve();
    fireEvent(more, new Event("toggle"));
    rerender(<Harness />);
    expect(more.open).toBe(true);
  });

  it("shows the server's messages at their fields and unfolds what hides one", () => {
    render(<Harness errors={{ host: "Must not be empty.", port: "Must be at most 65535." }} />);
    const host = screen.getByLabelText("Host");
    expect(host.getAttribute("aria-invalid")).toBe("true");
    const described = host.getAttribute("aria-describedby")!.split(" ");
    expect(described.map((id) => document.getElementById(id)!.textContent)).toContain("Must not be empty.");
    expect(screen.getByText("More settings").closest("details")!.open).toBe(true);
  });
});
