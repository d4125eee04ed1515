// @vitest-environment jsdom
import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { afterEach, expect, it } from "vitest";
import { BytesField } from "./bytes-field";

afterEach(cleanup);

function Form({ bytes, readOnly }: { bytes: string; readOnly?: boolean }) {
  const [value, setValue] = useState(bytes);
  return (
    <>
      <BytesField label="Data" value={value} onChange={setValue} whenEmpty="No limit" readOnly={readOnly} />
      <output>{value}</output>
    </>
  );
}

const amount = () => screen.getByLabelText<HTMLInputElement>("Data");
const unit = () => screen.getByLabelText<HTMLSelectElement>("Unit of Data");
const bytes = () => screen.getByRole("status").textContent;

it.each([
  ["250000000000", "250", "GB"],
  ["2000000000000", "2", "TB"],
  ["1500000000", "1500", "MB"],
  ["1048576", "1.048576", "MB"],
  ["", "", "GB"],
])("%s bytes are shown as %s %s", (stored, text, name) => {
  render(<Form bytes={stored} />);
  expect([amount().value, unit().value]).toEqual([text, name]);
});

it("a size is typed in its unit", async () => {
  render(<Form bytes="" />);
  await userEvent.type(amount(), "1.05");
  expect([amount().value, bytes()]).toEqual(["1.05", "1050000000"]);
  await userEvent.selectOptions(unit(), "TB");
  expect([amount().value, bytes()]).toEqual(["1.05", "1050000000000"]);
  await userEvent.clear(amount());
  expect(bytes()).toBe("");
});

it("who may not change it reads it", () => {
  render(<Form bytes="250000000000" readOnly />);
  expect(amount().value).toBe("250\u00a0GB");
  expect(amount().readOnly).toBe(true);
  expect(screen.queryByRole("combobox")).toBeNull();
});
