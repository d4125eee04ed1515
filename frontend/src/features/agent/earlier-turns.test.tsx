// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { http, part, startServer } from "@/test-server";
import { EarlierTurns } from "./earlier-turns";

const requestedPaths: string[] = [];

startServer(
  http.get("/api/v1/agent/conversations/{id}", ({ request, query, response }) => {
    const { pathname, search } = new URL(request.url);
    requestedPaths.push(pathname + search);
    return response(200).json(part(turnsBefore(Number(query.get("before")))));
  }),
);

beforeEach(() => {
  requestedPaths.length = 0;
});
afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

/** As high as the texts before the element, from the top of the region that scrolls. */
function placeOf(this: Element): DOMRect {
  const region = screen.getByRole("region");
  const above = [...region.querySelectorAll("article")].filter(
    (article) => article.compareDocumentPosition(this) === Node.DOCUMENT_POSITION_FOLLOWING,
  );
  return { top: 100 * above.length - region.scrollTop } as DOMRect;
}

/** Two turns a page, as the server answers. */
function turnsBefore(before: number) {
  const numbers = [before - 2, before - 1].filter((number) => number > 0);
  const turns = numbers.map((number) => ({
    number,
    status: "done" as const,
    text: `Message ${number}`,
    model: "guided",
    created_at: "2026-01-01T00:00:00Z",
    finished_at: "2026-01-01T00:00:01Z",
    input_tokens: 0,
    output_tokens: 0,
    items: [],
  }));
  return { id: "c1", earlier_turns: numbers[0]! - 1, turns };
}

function shown(): string[] {
  return screen.getAllByText(/^Message/).map(({ textContent }) => textContent.replace("You: ", ""));
}

it("shows earlier messages page by page, the oldest first", async () => {
  render(
    <QueryClientProvider client={new QueryClient()}>
      <EarlierTurns conversationId="c1" before={4} />
    </QueryClientProvider>,
  );
  expect(requestedPaths).toEqual([]);
  await userEvent.click(screen.getByRole("button", { name: "Show earlier messages" }));
  await screen.findByText("Message 2");
  expect(shown()).toEqual(["Message 2", "Message 3"]);
  await userEvent.click(screen.getByRole("button", { name: "Show earlier messages" }));
  await screen.findByText("Message 1");
  expect(shown()).toEqual(["Message 1", "Message 2", "Message 3"]);
  expect(screen.queryByRole("button", { name: "Show earlier messages" })).toBeNull();
  expect(requestedPaths).toEqual([4, 2].map((before) => `/api/v1/agent/conversations/c1?before=${before}`));
});

it("keeps the messages that were shown in their place, and the focus in the conversation", async () => {
  vi.spyOn(Element.prototype, "getBoundingClientRect").mockImplementation(placeOf);
  render(
    <QueryClientProvider client={new QueryClient()}>
      <div role="region" aria-label="Conversation" tabIndex={0}>
        <EarlierTurns conversationId="c1" before={4} />
        <article>Message 4</article>
      </div>
    </QueryClientProvider>,
  );
  const region = screen.getByRole("region");
  screen.getByRole("button", { name: "Show earlier messages" }).focus();
  await userEvent.keyboard("{Enter}");
  await screen.findByText("Message 2");
  expect(region.scrollTop).toBe(200);
  expect(document.activeElement?.textContent).toBe("Show earlier messages");
  await userEvent.keyboard("{Enter}");
  await screen.findByText("Message 1");
  expect(region.scrollTop).toBe(300);
  expect(document.activeElement).toBe(region);
});
