// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import type { Organization } from "@/api/types";
import { membersQuery } from "@/api/members";
import { TransferSection } from "./organization-page";

afterEach(cleanup);

const ONLY_MEMBER_TEXT = "You are the only member. Invite someone first.";

function renderTransferSection(client: QueryClient) {
  render(
    <QueryClientProvider client={client}>
      <TransferSection org={{ name: "Acme" } as Organization} />
    </QueryClientProvider>,
  );
}

describe("TransferSection", () => {
  it("says that you are the only member if the members are loaded and there is no other one", () => {
    const client = new QueryClient({ defaultOptions: { queries: { staleTime: Infinity } } });
    client.setQueryData(membersQuery.queryKey, { results: [] });
    renderTransferSection(client);
    expect(screen.getByText(ONLY_MEMBER_TEXT)).toBeTruthy();
  });

  it("shows an error instead if the members cannot be loaded", async () => {
    const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
    const loading = client.fetchQuery({
      queryKey: membersQuery.queryKey,
      queryFn: () => Promise.reject(new Error("offline")),
    });
    await loading.catch(() => undefined);
    client.setDefaultOptions({ queries: { retryOnMount: false } });
    renderTransferSection(client);
    expect(screen.queryByText(ONLY_MEMBER_TEXT)).toBeNull();
    expect(screen.getByRole("alert")).toBeTruthy();
  });

  it("shows a placeholder while the members are loading", () => {
    const client = new QueryClient();
    void client.fetchQuery({ queryKey: membersQuery.queryKey, queryFn: () => new Promise(() => undefined) });
    renderTransferSection(client);
    expect(screen.queryByText(ONLY_MEMBER_TEXT)).toBeNull();
  });
});
