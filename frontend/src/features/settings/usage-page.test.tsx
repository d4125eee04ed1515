// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import { queryKeys } from "@/api/query-keys";
import { membersQuery } from "@/api/members";
import { AgentSection, UsagePage } from "./usage-page";

afterEach(cleanup);

const ADA = { user_id: "1", conversations: 2, turns: 9, input_tokens: 12840, output_tokens: 1210 };

function renderCosts(members: (typeof ADA)[]) {
  const client = new QueryClient({ defaultOptions: { queries: { staleTime: Infinity } } });
  client.setQueryData(membersQuery.queryKey, { results: [{ user_id: "1", email: "ada@example.com" }] });
  client.setQueryData(queryKeys.conversationCosts, { members });
  render(
    <QueryClientProvider client={client}>
      <AgentSection />
    </QueryClientProvider>,
  );
}

it("a limit that is not set has words instead of an empty bar", () => {
  const client = new QueryClient({ defaultOptions: { queries: { staleTime: Infinity } } });
  const limits = [
    { name: "pipelines", used: 3, limit: 10, state: "ok" },
    { name: "members", used: 2, limit: null, state: "ok" },
  ];
  client.setQueryData(queryKeys.usage, { limits, months: [], kept: [] });
  const { container } = render(
    <QueryClientProvider client={client}>
      <UsagePage />
    </QueryClientProvider>,
  );
  expect(screen.getByText("No limit is set.").closest("li")!.textContent).toMatch(/^Members2/);
  expect(screen.getAllByRole("meter").map((meter) => meter.getAttribute("aria-label"))).toEqual([
    "Pipelines",
  ]);
  expect(container.querySelectorAll("svg")).toHaveLength(1);
});

describe("AgentSection", () => {
  it("shows what the conversations of each member cost", () => {
    renderCosts([ADA, { ...ADA, user_id: "2", conversations: 1 }]);
    const [, first, second] = screen.getAllByRole("row").map((row) => row.textContent);
    expect(first).toBe("ada@example.com2912,8401,210");
    expect(second).toContain("Former member");
  });

  it("says so if there are none", () => {
    renderCosts([]);
    expect(screen.getByText("Nobody has written to the agent yet.")).toBeTruthy();
  });
});
