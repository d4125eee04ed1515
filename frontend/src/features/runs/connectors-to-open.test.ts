import { expect, it } from "vitest";
import { connectorsToOpen } from "./connectors-to-open";

const BOTH = { source: { connector_id: "s" }, destination: { connector_id: "d" } };

it("a refused password may belong to either side", () => {
  expect(connectorsToOpen("authentication", BOTH)).toEqual(["s", "d"]);
});

it("a failure of one side leads to the connector of this side", () => {
  expect(connectorsToOpen("source", BOTH)).toEqual(["s"]);
  expect(connectorsToOpen("destination", BOTH)).toEqual(["d"]);
});

it("a side with settings of its own and other failures lead to no connector", () => {
  expect(connectorsToOpen("source", { ...BOTH, source: { connector_id: null } })).toEqual([]);
  expect(connectorsToOpen("memory", BOTH)).toEqual([]);
});
