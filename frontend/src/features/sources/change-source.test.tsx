// @vitest-environment jsdom
import { QueryClientProvider, useQuery } from "@tanstack/react-query";
import { renderHook, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { expect, it } from "vitest";
import { queryClient } from "@/query-client";
import { startApp } from "@/test-app";
import { sourceQuery, useChangeSource } from "./queries";

const wrapper = ({ children }: { children: ReactNode }) => (
  <QueryClientProvider client={queryClient}>{children}</QueryClientProvider>
);

it("a source that somebody else has changed is not overwritten: the page gets the newer version", async () => {
  let version = 1;
  startApp(["custom_sources.edit"], (request) => {
    const isRefused = request.method === "PATCH" && request.headers.get("If-Match") !== `"${version}"`;
    if (isRefused) return Response.json({ title: "Changed" }, { status: 412 });
    return Response.json({ id: "s1", latest_version: version }, { headers: { ETag: `"${version}"` } });
  });
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
