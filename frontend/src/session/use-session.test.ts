import { describe, expect, it } from "vitest";
import type { Session } from "@/api/types";
import { memberHasPermission } from "./use-session";

const organization: NonNullable<Session["organization"]> = {
  id: "1",
  name: "Acme",
  slug: "acme",
  role: "viewer",
  permissions: ["read"],
  domains: [{ id: "marketing", permissions: ["read", "pipelines.run"] }],
  suspended_at: null,
  deletion_at: null,
  closed: null,
};

describe("the permissions of a member", () => {
  it("include those of a domain role inside the domain", () => {
    expect(memberHasPermission(organization, "pipelines.run", "marketing")).toBe(true);
  });

  it("are those of the organization's role outside the domain", () => {
    expect(memberHasPermission(organization, "pipelines.run", "sales")).toBe(false);
    expect(memberHasPermission(organization, "pipelines.run", null)).toBe(false);
    expect(memberHasPermission(organization, "read")).toBe(true);
  });
});
