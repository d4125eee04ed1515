// @vitest-environment jsdom
import { cleanup, render, screen, within } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import type { Preview } from "@/api/types";
import { PreviewTable } from "./preview-table";

const PREVIEW: Preview = {
  ok: true,
  records: [],
  rejected: 0,
  skipped: 0,
  left_out: [],
  columns: [],
  ms: 4,
  read_as: "",
  failure: null,
};

afterEach(cleanup);

/** Returns the texts of each list of reasons, after its title. */
function shown(): string[][] {
  return screen.getAllByRole("list").map((list) => {
    const items = within(list).getAllByRole("listitem");
    return [list.previousElementSibling!, ...items].map((each) => each.textContent.replaceAll("\u00A0", " "));
  });
}

it("says why a run would reject or skip records, each with its own reasons", () => {
  const left_out: Preview["left_out"] = [
    { kind: "rejected", reason: "the field 'age' has the value 'old'", count: 1200 },
    { kind: "skipped", reason: "the transform returned None", count: 1 },
    { kind: "rejected", reason: "the record is no object", count: 1 },
  ];
  render(<PreviewTable preview={{ ...PREVIEW, rejected: 1201, skipped: 1, left_out }} />);
  expect(shown()).toEqual([
    [
      "A run would reject 1,201 records:",
      "1,200 records: the field 'age' has the value 'old'",
      "1 record: the record is no object",
    ],
    ["A run would skip 1 record by choice:", "1 record: the transform returned None"],
  ]);
  expect(screen.queryByText(/has no records/)).toBeNull();
  expect(screen.queryByRole("region")).toBeNull();
});

it("says nothing about left-out records if all arrive", () => {
  const columns = [{ name: "id", type: "integer", nullable: false }];
  render(<PreviewTable preview={{ ...PREVIEW, columns, records: [{ id: 7 }] }} />);
  expect(screen.queryByRole("list")).toBeNull();
  expect(screen.getByRole("cell", { name: "7" })).toBeTruthy();
});
