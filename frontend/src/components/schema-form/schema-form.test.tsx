// @vitest-environment jsdom
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { afterEach, describe, expect, it } from "vitest";
import { missingFields, withoutEmptyFields, type Config, type Schema } from "./schema";
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

let formValue: Config = {};

function TestForm({ initial = {}, errors = {} }: { initial?: Config; errors?: Record<string, string> }) {
  const [value, setValue] = useState<Config>(initial);
  const change = (next: Config) => {
    formValue = next;
    setValue(next);
  };
  return <SchemaForm schema={SCHEMA} value={value} onChange={change} errors={errors} />;
}

afterEach(cleanup);

describe("SchemaForm", () => {
  it("passes the entered values on with the types of the schema", async () => {
    const user = userEvent.setup();
    render(<TestForm />);
    await user.type(screen.getByLabelText("Host"), "db.example.com");
    await user.type(screen.getByLabelText("Password"), "s3cret");
    await user.click(screen.getByText("More settings"));
    await user.type(screen.getByLabelText(/^Port/), "6543");
    await user.selectOptions(screen.getByLabelText(/^TLS/), "require");
    await user.click(screen.getByLabelText("Read-only"));
    expect(withoutEmptyFields(formValue)).toEqual({
      host: "db.example.com",
      password: "s3cret",
      port: 6543,
      tls: "require",
      read_only: false,
    });
  });

  it("does not show a stored secret, and lets the user keep or replace it", async () => {
    const user = userEvent.setup();
    const stored = { set: true, last4: "1234" };
    render(<TestForm initial={{ host: "h", password: stored }} />);
    expect(screen.getByText("Set, ends in 1234")).toBeTruthy();
    expect(screen.getByLabelText("Password").tagName).toBe("BUTTON");
    await user.click(screen.getByRole("button", { name: "Replace" }));
    const input = screen.getByLabelText("Password");
    expect(input.getAttribute("type")).toBe("password");
    await user.type(input, "new");
    expect(formValue.password).toBe("new");
    await user.click(screen.getByRole("button", { name: "Keep current" }));
    expect(formValue.password).toEqual(stored);
  });

  it("reports the field as missing while its text is not valid JSON", async () => {
    render(<TestForm initial={{ host: "h", password: "p", filter: { a: 1 } }} />);
    const input = screen.getByLabelText<HTMLTextAreaElement>(/^Filter/);
    fireEvent.change(input, { target: { value: '{"a": 2' } });
    expect(input.getAttribute("aria-invalid")).toBe("true");
    expect(document.getElementById(input.getAttribute("aria-describedby")!)!.textContent).toMatch(
      /not valid JSON/,
    );
    expect(missingFields(SCHEMA, SCHEMA, formValue)).toEqual(["filter"]);
    fireEvent.change(input, { target: { value: '{"a": 2}' } });
    expect(input.getAttribute("aria-invalid")).toBeNull();
    expect(missingFields(SCHEMA, SCHEMA, formValue)).toEqual([]);
    expect(formValue.filter).toEqual({ a: 2 });
  });

  it("shows the fields of the chosen option and sets its constant", async () => {
    const user = userEvent.setup();
    render(<TestForm />);
    await user.selectOptions(screen.getByLabelText("Method"), "User");
    await user.type(screen.getByLabelText("User name"), "ada");
    expect(formValue.method).toEqual({ kind: "user", user: "ada" });
    await user.selectOptions(screen.getByLabelText("Method"), "Key");
    expect(formValue.method).toEqual({ kind: "key" });
  });

  it("shows one option for leaving a union unset, and no description that repeats the title", () => {
    render(<TestForm />);
    const optionsOf = (label: string) => {
      const select = screen.getByLabelText<HTMLSelectElement>(label);
      return [select.selectedOptions[0]!.text, [...select.options].map((option) => option.text)];
    };
    expect(optionsOf("Paging")).toEqual(["None", ["None", "User"]]);
    expect(optionsOf("Own paging")).toEqual(["Not set", ["Not set", "None", "User"]]);
    expect(optionsOf("Method")).toEqual(["Choose…", ["Choose…", "Key", "User"]]);
    expect(screen.queryByText("Own paging.")).toBeNull(); // this description only repeats the title
  });

  it("never collapses a setting that nearly everybody looks for", () => {
    render(<TestForm />);
    expect(screen.getByLabelText(/^Port/).closest("details")).toBeNull();
    expect(screen.getByText("More settings")).toBeTruthy();
  });

  it("keeps the optional settings open after their error is corrected", async () => {
    const { rerender } = render(<TestForm errors={{ tls: "Unknown." }} />);
    const details = screen.getByText("More settings").closest("details")!;
    await waitFor(() => expect(details.open).toBe(true));
    await Promise.resolve();
    fireEvent(details, new Event("toggle"));
    rerender(<TestForm />);
    expect(details.open).toBe(true);
  });

  it("shows the server's message under its field, and opens the optional settings if one of them has an error", () => {
    render(<TestForm errors={{ host: "Must not be empty.", tls: "Unknown." }} />);
    const host = screen.getByLabelText("Host");
    expect(host.getAttribute("aria-invalid")).toBe("true");
    const descriptionIds = host.getAttribute("aria-describedby")!.split(" ");
    expect(descriptionIds.map((id) => document.getElementById(id)!.textContent)).toContain(
      "Must not be empty.",
    );
    expect(screen.getByText("More settings").closest("details")!.open).toBe(true);
  });
});
