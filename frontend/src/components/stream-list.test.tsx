// @vitest-environment jsdom
import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, describe, expect, it } from "vitest";
import { ChangeCard } from "./change-card";
import { StreamList } from "./stream-list";

afterEach(cleanup);

function rows(count: number) {
  return Array.from({ length: count }, (_, number) => ({
    stream: `sales.table_${number}`,
    table: `raw_${number}`,
    reads: "Full refresh",
    writes: "Append",
    rules: number === 1 ? "Fields: email: hash" : "",
  }));
}

function shownStreams() {
  return screen.queryAllByRole("listitem").map((item) => item.textContent);
}

describe("the list of the streams of a card", () => {
  it("says what each stream becomes, and has no search if there are few", () => {
    render(<StreamList title="Shop" count={2} rows={rows(2)} />);
    expect(screen.getByText("2 streams of Shop")).toBeTruthy();
    expect(shownStreams()[1]).toBe("sales.table_1 to raw_1Full refresh · AppendFields: email: hash");
    expect(screen.queryByRole("searchbox")).toBeNull();
  });

  it("shows the first streams, and all on request", async () => {
    render(<StreamList title="Shop" count={1200} rows={rows(500)} />);
    expect(screen.getByText("1,200 streams of Shop")).toBeTruthy();
    expect(shownStreams()).toHaveLength(8);
    expect(screen.getByText(/Only the first 500 are listed here/)).toBeTruthy();
    await userEvent.click(screen.getByRole("button", { name: "Show all 500" }));
    expect(shownStreams()).toHaveLength(500);
  });

  it("finds streams by their names and tables", async () => {
    render(<StreamList title="Shop" count={40} rows={rows(40)} />);
    await userEvent.type(screen.getByRole("searchbox"), "RAW_39");
    expect(shownStreams()).toEqual(["sales.table_39 to raw_39Full refresh · Append"]);
    await userEvent.type(screen.getByRole("searchbox"), "x");
    expect(screen.getByText("None of the listed streams or tables has this name.")).toBeTruthy();
  });
});

describe("a card", () => {
  it("names the stream of a change, and lists added streams", () => {
    const changes = [
      { field: "streams.4.write_mode", before: "replace", after: "append", stream: "sales.orders" },
      { field: "streams.added", before: null, after: ["a to a", "b to b"] },
    ];
    render(<ChangeCard facts={[]} changes={changes} warnings={[]} />);
    expect(screen.getByText("Write mode of sales.orders")).toBeTruthy();
    expect(screen.getByText("Streams that it reads from now on too")).toBeTruthy();
    expect(screen.getByText("b to b")).toBeTruthy();
  });
});
