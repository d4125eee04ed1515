// @vitest-environment jsdom
import { cleanup, screen } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import { openPage, startApp } from "@/test-app";
import { EMPTY_LISTS, http, part, startServer } from "@/test-server";

const member = (id: string, email: string) => ({ id, user_id: id, name: "Ada", email });
const event = {
  id: "e1",
  at: "2026-11-30T06:00:00Z",
  action: "pipeline.delete",
  actor_label: "mallory@example.com",
  object_label: "Orders",
  changes: {},
};

startServer(
  http.get("/api/v1/org/audit", ({ response }) => response(200).json(part({ results: [event], next: null }))),
  http.get("/api/v1/org/members", ({ response }) =>
    response(200).json(
      part({ results: [member("u1", "ada@example.com"), member("u2", "mallory@example.com")], next: null }),
    ),
  ),
  EMPTY_LISTS,
);
afterEach(cleanup);

it("the audit log shows the address beside the name, because a member can take the name of another", async () => {
  startApp(["read", "audit.view"]);
  await openPage("/settings/audit");
  expect((await screen.findByText(/deleted/)).closest("p")!.textContent).toContain(
    "Ada (mallory@example.com) deleted the pipeline Orders",
  );
});
