import { expect, it } from "vitest";
import { proposedName } from "./proposed-name";

it("the first connector of a kind is named like the kind", () => {
  expect(proposedName("PostgreSQL", ["Shop"])).toBe("PostgreSQL");
});

it("another one gets the first number that is free", () => {
  expect(proposedName("PostgreSQL", ["postgresql"])).toBe("PostgreSQL 2");
  expect(proposedName("PostgreSQL", ["PostgreSQL", "PostgreSQL 2", "PostgreSQL 4"])).toBe("PostgreSQL 3");
});
