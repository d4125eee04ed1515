// @vitest-environment jsdom
import { cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { focusSetting, useFocusOnWrongField } from "./focus";
import { withoutEmptyFields, type Config, type Schema } from "./schema";
import { SchemaForm } from "./schema-form";
import { settingErrors } from "./validation";

const SCHEMA: Schema = {
  type: "object",
  required: ["host", "password", "needed", "lone"],
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
    headers: { type: "object", additionalProperties: { type: "string" }, title: "Headers" },
    params: {
      type: "object",
      title: "Params",
      additionalProperties: { type: "string" },
      patternProperties: { "[Kk]ey$": { type: ["string", "integer"], writeOnly: true } },
    },
    query: { type: "string", format: "sql", title: "Query" },
    lone: { title: "Lone", anyOf: [{ $ref: "#/$defs/Account" }], default: {} },
    needed: {
      title: "Needed",
      anyOf: [{ $ref: "#/$defs/Key" }, { $ref: "#/$defs/User" }],
      default: { kind: "none" },
    },
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
    Account: {
      title: "Account",
      type: "object",
      properties: { account: { type: "string", title: "Account" } },
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

function Refused({ refusal, ...form }: { refusal: number; initial: Config; errors: Record<string, string> }) {
  const container = useFocusOnWrongField([refusal]);
  return (
    <div ref={container}>
      <TestForm {...form} />
    </div>
  );
}

function TestForm({ initial = {}, errors = {} }: { initial?: Config; errors?: Record<string, string> }) {
  const [value, setValue] = useState<Config>(initial);
  const change = (next: Config) => {
    formValue = next;
    setValue(next);
  };
  return <SchemaForm schema={SCHEMA} value={value} onChange={change} errors={errors} />;
}

beforeEach(() => {
  Element.prototype.scrollIntoView = () => undefined; // jsdom has no layout
});
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
    expect(settingErrors(SCHEMA, formValue)).toHaveProperty("filter", "This is not valid JSON.");
    fireEvent.change(input, { target: { value: '{"a": 2}' } });
    expect(input.getAttribute("aria-invalid")).toBeNull();
    expect(settingErrors(SCHEMA, formValue)).toEqual({});
    expect(formValue.filter).toEqual({ a: 2 });
  });

  it("shows the fields of the chosen tab, sets its constant, and keeps what was entered for the other one", async () => {
    const user = userEvent.setup();
    render(<TestForm />);
    const tabs = within(screen.getByRole("tablist", { name: "Method" }));
    await user.click(tabs.getByRole("tab", { name: "User" }));
    await user.type(screen.getByLabelText("User name"), "ada");
    expect(formValue.method).toEqual({ kind: "user", user: "ada" });
    await user.click(tabs.getByRole("tab", { name: "User" }));
    await user.keyboard("{ArrowLeft}");
    expect(formValue.method).toEqual({ kind: "key" });
    expect(tabs.getByRole("tab", { name: "Key" })).toBe(document.activeElement);
    expect(screen.queryByLabelText("User name")).toBeNull();
    await user.keyboard("{ArrowRight}");
    expect(formValue.method).toEqual({ kind: "user", user: "ada" });
  });

  it("has one tab for leaving an option unset, none selected until a required one is chosen, and no repeated title", () => {
    render(<TestForm />);
    const tabsOf = (label: string) => {
      const tabs = within(screen.getByRole("tablist", { name: label })).getAllByRole("tab");
      const selected = tabs.find((tab) => tab.getAttribute("aria-selected") === "true");
      return [selected?.textContent ?? null, tabs.map(({ textContent }) => textContent)];
    };
    expect(tabsOf("Paging")).toEqual(["None", ["None", "User"]]);
    expect(tabsOf("Own paging")).toEqual(["Not set", ["Not set", "None", "User"]]);
    expect(tabsOf("Login")).toEqual(["None", ["None", "Key"]]);
    expect(tabsOf("Needed")).toEqual([null, ["Key", "User"]]);
    expect(screen.queryByRole("tablist", { name: "Lone" })).toBeNull(); // a lone choice is made
    expect(screen.getByLabelText(/^Account/)).toBeTruthy();
    expect(screen.queryByText("Own paging.")).toBeNull(); // this description only repeats the title
  });

  it("hides the values of a map whose names say that they are secret", async () => {
    const stored = { set: true, last4: "3f9a", path: "params.key" };
    render(<TestForm initial={{ params: { page: "1", key: stored } }} />);
    const params = screen.getByRole("group", { name: "Params" });
    expect(within(params).getByLabelText<HTMLInputElement>("Params: value 1").type).toBe("text");
    expect(params.textContent).toContain("Set, ends in 3f9a");
    await userEvent.click(within(params).getByRole("button", { name: "Add to Params" }));
    await userEvent.type(within(params).getByLabelText("Params: name 3"), "own_key");
    const value = within(params).getByLabelText<HTMLInputElement>("Params: value 3");
    expect(value.type).toBe("password");
    await userEvent.type(value, "typed");
    expect(formValue.params).toEqual({ page: "1", key: stored, own_key: "typed" });
  });

  it("adds and removes names and values by the keyboard", async () => {
    const user = userEvent.setup();
    render(<TestForm />);
    await user.click(screen.getByRole("button", { name: "Add to Headers" }));
    await waitFor(() => expect(screen.getByLabelText("Headers: name 1")).toBe(document.activeElement));
    await user.keyboard("Accept{Enter}");
    await waitFor(() => expect(screen.getByLabelText("Headers: value 1")).toBe(document.activeElement));
    await user.keyboard("text/csv{Enter}");
    await waitFor(() => expect(screen.getByLabelText("Headers: name 2")).toBe(document.activeElement));
    expect(formValue.headers).toEqual({ Accept: "text/csv" });
    await user.keyboard("{Backspace}");
    await waitFor(() => expect(screen.getByLabelText("Headers: name 1")).toBe(document.activeElement));
    expect(screen.queryByLabelText("Headers: name 2")).toBeNull();
    await user.click(screen.getByRole("button", { name: "Remove Accept" }));
    const add = screen.getByRole("button", { name: "Add to Headers" });
    await waitFor(() => expect(add).toBe(document.activeElement));
    expect(formValue.headers).toBeUndefined();
  });

  it("says which name is missing or stands twice, and shows the server's message at its name", async () => {
    const user = userEvent.setup();
    render(<TestForm initial={{ headers: { Accept: "a" } }} errors={{ "headers.Accept": "At most 1." }} />);
    const first = screen.getByLabelText("Headers: name 1");
    expect(document.getElementById(first.getAttribute("aria-describedby")!)!.textContent).toBe("At most 1.");
    await user.click(screen.getByRole("button", { name: "Add to Headers" }));
    await user.type(screen.getByLabelText("Headers: value 2"), "x");
    expect(screen.getByText(/Enter a name/)).toBeTruthy();
    await user.type(screen.getByLabelText("Headers: name 2"), "Accept");
    expect(screen.getByText("This name stands above already.")).toBeTruthy();
  });

  it("edits a query as SQL, in an editor that loads when it is needed", async () => {
    render(<TestForm initial={{ query: "select 1" }} errors={{ query: "At most 3 characters." }} />);
    const field = screen.getByText("Query").closest<HTMLElement>("[data-setting]")!;
    await waitFor(() => {
      // jsdom cannot measure text, which CodeMirror reports and survives.
      const editor = [...field.querySelectorAll("div")].find(({ shadowRoot }) => shadowRoot);
      expect(editor!.shadowRoot!.querySelector("[aria-label='Query']")!.textContent).toBe("select 1");
    });
    expect(screen.getByText("At most 3 characters.")).toBeTruthy();
  });

  it("moves the focus to the first wrong field, also one of a collapsed, nested or chosen group", () => {
    const method = { kind: "user", user: "a" };
    const { rerender } = render(<Refused initial={{ method }} errors={{}} refusal={0} />);
    const expectFocus = (label: RegExp) => expect(screen.getByLabelText(label)).toBe(document.activeElement);
    rerender(<Refused initial={{}} errors={{ host: "No.", "method.user": "No." }} refusal={1} />);
    expectFocus(/^Host/);
    rerender(<Refused initial={{}} errors={{ "method.user": "No." }} refusal={2} />);
    expectFocus(/^User name/);
    rerender(<Refused initial={{}} errors={{ tls: "No." }} refusal={3} />);
    expectFocus(/^TLS/);
    rerender(<Refused initial={{}} errors={{ auth: "No." }} refusal={4} />);
    expect(document.activeElement).toBe(
      within(screen.getByRole("tablist", { name: "Login" })).getAllByRole("tab")[0],
    );
    screen.getByLabelText("Password").focus();
    rerender(<Refused initial={{}} errors={{ host: "No." }} refusal={4} />);
    expectFocus(/^Password/); // only a new refusal moves it
  });

  it("moves the focus to a stored secret that must be entered again", () => {
    const initial = { password: { set: true, last4: "1234" } };
    const { rerender } = render(<Refused initial={initial} errors={{}} refusal={0} />);
    rerender(<Refused initial={initial} errors={{ password: "Enter this secret again." }} refusal={1} />);
    expect(document.activeElement).toBe(screen.getByRole("button", { name: "Replace" }));
  });

  it("moves the focus to the setting that a link names, or to the nearest one around it", () => {
    render(<TestForm initial={{ method: { kind: "user" } }} />);
    expect(focusSetting("method.user")).toBe(true);
    expect(document.activeElement).toBe(screen.getByLabelText("User name"));
    expect(focusSetting("tls")).toBe(true);
    expect(screen.getByText("More settings").closest("details")!.open).toBe(true);
    expect(focusSetting("headers.Accept")).toBe(true);
    expect(document.activeElement).toBe(screen.getByRole("button", { name: "Add to Headers" }));
    expect(focusSetting("no_such_setting")).toBe(false);
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
