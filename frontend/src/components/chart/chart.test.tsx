// @vitest-environment jsdom
import { cleanup, render, screen, within } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import { Chart } from "./chart";

afterEach(cleanup);

it("a chart has a table with the same values for screen readers", () => {
  render(
    <Chart
      title="Duration of the last 2 runs"
      times={["2026-03-01T06:00:00Z", "2026-03-02T06:00:00Z"]}
      series={[
        { label: "Succeeded", values: [61, null], color: "good", kind: "bars" },
        { label: "Failed", values: [null, 5], color: "bad", kind: "bars" },
      ]}
      format={(seconds) => `${seconds} s`}
    />,
  );
  const rows = within(screen.getByRole("table", { name: "Duration of the last 2 runs" })).getAllByRole("row");
  expect(
    rows.map((row) =>
      within(row)
        .queryAllByRole("cell")
        .map(({ textContent }) => textContent),
    ),
  ).toEqual([[], ["61 s", "none"], ["none", "5 s"]]);
});
