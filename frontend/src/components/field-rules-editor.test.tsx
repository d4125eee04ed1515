// @vitest-environment jsdom
import { cleanup, render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { afterEach, expect, it } from "vitest";
import { NO_RULES, rulesInWords } from "@/format/fields";
import { FieldRulesEditor } from "./field-rules-editor";

afterEach(cleanup);

function Form() {
  const [fields, setFields] = useState(NO_RULES);
  return (
    <>
      <FieldRulesEditor fields={fields} onChange={setFields} known={["id", "mail"]} />
      <output>{rulesInWords(fields)}</output>
    </>
  );
}

const words = () => screen.getByRole("status").textContent?.split("\n");

it("a field is typed, hashed and renamed", async () => {
  render(<Form />);
  expect(words()).toEqual(["All fields arrive as they are"]);
  await userEvent.click(screen.getByRole("button", { name: "Add a field" }));
  await userEvent.type(screen.getByLabelText("Field"), "mail");
  const rule = within(screen.getByRole("group", { name: "mail" }));
  await userEvent.selectOptions(rule.getByLabelText("Type"), "Integer");
  await userEvent.selectOptions(rule.getByLabelText("Values"), "Hash");
  await userEvent.type(rule.getByLabelText(/New name/), "person");
  expect(words()).toEqual(["mail: hash, as person", "Other fields: keep"]);
  expect((rule.getByLabelText("Type") as HTMLSelectElement).disabled).toBe(true);
});

it("all fields of the source are added, and one of them is dropped and removed", async () => {
  render(<Form />);
  await userEvent.click(screen.getByRole("button", { name: "Add all fields (2)" }));
  await userEvent.selectOptions(screen.getByLabelText("Other fields"), "Drop, also new ones");
  await userEvent.selectOptions(screen.getAllByLabelText("Values")[1]!, "Drop");
  expect(words()).toEqual(["id: keep", "mail: drop", "Other fields: drop"]);
  await userEvent.click(screen.getByRole("button", { name: "Remove the rule for mail" }));
  expect(words()).toEqual(["id: keep", "Other fields: drop"]);
});
