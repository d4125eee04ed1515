import { QueryClient } from "@tanstack/react-query";
import { expect, it } from "vitest";
import { queryKeys } from "@/api/query-keys";
import { refreshOpenPage } from "./use-conversation";

it("after a tool call the lists and the open source are fetched again, but no code is validated again", () => {
  const client = new QueryClient();
  const shown = {
    pipeline: queryKeys.pipelines.one("p1"),
    sources: queryKeys.sources.list({ archived: false }),
    source: queryKeys.sources.one("s1"),
    report: queryKeys.sources.report("code"),
  };
  for (const key of Object.values(shown)) client.setQueryData(key, "old");
  refreshOpenPage(client);
  const stale = Object.entries(shown).filter(([, key]) => client.getQueryState(key)!.isInvalidated);
  expect(stale.map(([name]) => name)).toEqual(["pipeline", "sources", "source"]);
});
