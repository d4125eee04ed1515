// @vitest-environment jsdom
import { QueryClientProvider, useQuery } from "@tanstack/react-query";
import { renderHook, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { expect, it } from "vitest";
import { queryClient } from "@/query-client";
import { startApp } from "@/test-app";
import { http, part, refusal, startServer } from "@/test-server";
import { sourceQuery, useChangeSource } from "./queries";

let version: number;

startServer(
  http.get("/api/v1/custom-sources/{id}", ({ response }) => {
    const headers = { ETag: `"${version}"` };
    return response(200).json(part({ id: "s1", latest_version: version }), { headers });
  }),
  http.patch("/api/v1/custom-sources/{id}", ({ request, response }) =>
    request.headers.get("If-Match") === `"${version}"`
      ? response(200).json(part({ id: "s1", latest_version: version }))
      : response.untyped(refusal(412)),
  ),
);

const wrapper = ({ children }: { children: ReactNode }) => (
  <QueryClientProvider client={queryClient}>{children}</QueryClientProvider>
);

it("a source that somebody else has changed is not overwritten: the page gets the newer version", async () => {
  version = 1;
  startApp(["custom_sources.edit"]);
  const { result } = renderHook(
    () => ({ source: useQuery(sourceQuery("s1")), change: useChangeSource("s1") }),
    {
      wrapper,
    },
  );
  await waitFor(() => expect(result.current.source.data).toMatchObject({ latest_version: 1, etag: '"1"' }));
  version = 2;
  const { etag } = result.current.source.data!;
  await expect(result.current.change.mutateAsync({ change: { code: "mine" }, etag })).rejects.toMatchObject({
    status: 412,
  });
  await waitFor(() => expect(result.current.source.data).toMatchObject({ latest_version: 2, etag: '"2"' }));
});
