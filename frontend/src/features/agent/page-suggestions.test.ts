import { expect, it } from "vitest";
import { ownSuggestions, suggestionsFor } from "./page-suggestions";

const ID = "0b6a7f0e-0000-4000-8000-000000000001";

it("suggests requests about the open page", () => {
  expect(suggestionsFor(`/pipelines/${ID}`)).toContain("Show this pipeline");
  expect(suggestionsFor(`/runs/${ID}`)).toContain("Explain this run");
  expect(suggestionsFor("/sources/new")).toContain("List sources");
  expect(suggestionsFor("/pipelines")).toContain("List pipelines");
  expect(ownSuggestions("/settings/account")).toBeNull();
});
