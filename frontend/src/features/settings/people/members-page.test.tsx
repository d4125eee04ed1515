// @vitest-environment jsdom
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { currentSearch, openPage, startApp } from "@/test-app";
import { EMPTY_LISTS, http, part, startServer } from "@/test-server";
import { membersAsCsv } from "./member-filter";

const member = (number: number, role: "owner" | "admin" | "member" | "viewer", name: string) => ({
  id: `m${number}`,
  user_id: `u${number}`,
  email: `${name.toLowerCase()}@example.com`,
  name,
  kind: "person" as const,
  role,
  created_at: "2026-01-01T00:00:00Z",
});
const MEMBERS = [
  member(1, "owner", "Ada"),
  member(2, "member", "Grace"),
  { ...member(3, "viewer", "Loader"), kind: "service" as const },
];
const invitation = {
  id: "i1",
  email: "new@example.com",
  role: "member" as const,
  created_at: "2026-01-01T00:00:00Z",
  sent_at: "2026-01-01T00:00:00Z",
  expires_at: new Date(Date.now() + 86_400_000).toISOString(),
};
let maxMembers: number | null;
let withdrawn: string[];

const server = startServer(
  // The second page has the last member.
  http.get("/api/v1/org/members", ({ query, response }) => {
    const isSecond = query.get("cursor") === "2";
    const results = isSecond ? MEMBERS.slice(2) : MEMBERS.slice(0, 2);
    return response(200).json({ results, next: isSecond ? null : "2", previous: null, count: 3 });
  }),
  http.get("/api/v1/org/invitations", ({ response }) =>
    response(200).json(part({ results: [invitation], next: null })),
  ),
  http.delete("/api/v1/org/invitations/{id}", ({ params, response }) => {
    withdrawn.push(params.id);
    return response(204).empty();
  }),
  http.get("/api/v1/org", ({ response }) =>
    response(200).json(part({ max_members: maxMembers }), { headers: { ETag: '"1"' } }),
  ),
  EMPTY_LISTS,
);

beforeEach(() => {
  maxMembers = null;
  withdrawn = [];
  startApp(["read", "members.manage", "invitations.manage", "settings.edit"]);
});
afterEach(cleanup);

const names = () =>
  within(screen.getByRole("region", { name: "Members" }))
    .getAllByRole("row")
    .slice(1)
    .map((row) => row.querySelector("p")!.firstChild!.textContent);

describe("the list of members", () => {
  it("has all members, also those of further pages, and filters them by the address of the page", async () => {
    await openPage("/settings/members");
    await screen.findByText("Loader", { selector: "bdi" });
    expect(names()).toEqual(["Ada", "Grace", "Loader"]);
    expect(screen.getByText("you").parentElement!.textContent).toBe("Adayou");
    await userEvent.selectOptions(screen.getByLabelText("Role"), "viewer (1)");
    await waitFor(() => expect(names()).toEqual(["Loader"]));
    expect(currentSearch()).toEqual({ role: "viewer" });
    await userEvent.click(screen.getByRole("button", { name: "Clear filters" }));
    await userEvent.type(screen.getByLabelText("Search members"), "grace@");
    await waitFor(() => expect(names()).toEqual(["Grace"]));
  });

  it("says that no member matches, with a button that clears the filters of this list only", async () => {
    await openPage("/settings/members?q=nobody&invited=new");
    await screen.findByText("No members match");
    const list = within(screen.getByRole("region", { name: "Members" }));
    await userEvent.click(list.getAllByRole("button", { name: "Clear filters" }).at(-1)!);
    await screen.findByText("Ada", { selector: "bdi" });
    expect(currentSearch()).toEqual({ invited: "new" });
  });

  it("is downloaded without formulas and without the placeholder addresses of service accounts", () => {
    const csv = membersAsCsv([{ ...MEMBERS[0]!, name: "=1+1" }, MEMBERS[2]!]);
    expect(csv.split("\r\n")).toEqual([
      "name,email,kind,role,joined",
      "'=1+1,ada@example.com,person,owner,2026-01-01T00:00:00Z",
      "Loader,,service,viewer,2026-01-01T00:00:00Z",
      "",
    ]);
  });
});

describe("the limit of people", () => {
  it("counts members and open invitations, and says what happens next", async () => {
    maxMembers = 4;
    await openPage("/settings/members");
    await screen.findByText(
      /^3 of 4 people, open invitations included\. At the limit nobody else can be invited/,
    );
    expect(screen.getByRole("button", { name: "Invite" }).getAttribute("aria-disabled")).not.toBe("true");
  });

  it("stops invitations when it is reached, and says how to make room", async () => {
    maxMembers = 3;
    await openPage("/settings/members");
    await screen.findByText(/Nobody else can be invited\. Remove a member, withdraw an invitation, or raise/);
    expect(screen.getByRole("button", { name: "Invite" }).getAttribute("aria-disabled")).toBe("true");
  });

  it("is not shown if there is none", async () => {
    await openPage("/settings/members");
    await screen.findByText(/^new@example.com/, { selector: "p" });
    expect(screen.queryByText(/open invitations included/)).toBeNull();
  });
});

it("an admin is not offered what only an owner may do with other owners", async () => {
  const results = [member(4, "owner", "Linus"), member(5, "member", "Barbara")];
  server.use(
    http.get("/api/v1/org/members", ({ response }) =>
      response(200).json({ results, next: null, previous: null, count: 2 }),
    ),
    http.get("/api/v1/org/invitations", ({ response }) =>
      response(200).json(part({ results: [{ ...invitation, role: "owner" }], next: null })),
    ),
  );
  await openPage("/settings/members");
  await screen.findByRole("button", { name: /^Remove\s*Barbara$/ });
  expect(screen.queryByRole("button", { name: /^Remove\s*Linus$/ })).toBeNull();
  await screen.findByRole("button", { name: /^Withdraw/ });
  expect(screen.queryByRole("button", { name: /^Resend/ })).toBeNull();
});

it("an invitation is withdrawn after a question", async () => {
  await openPage("/settings/members");
  await userEvent.click(await screen.findByRole("button", { name: /^Withdraw\s*the invitation/ }));
  expect(withdrawn).toEqual([]);
  const dialog = screen.getByRole("dialog", { name: "Withdraw the invitation to new@example.com?" });
  await userEvent.type(within(dialog).getByLabelText(/^Type/), "new@example.com");
  await userEvent.click(within(dialog).getByRole("button", { name: "Withdraw" }));
  await waitFor(() => expect(withdrawn).toEqual(["i1"]));
});
