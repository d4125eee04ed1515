// @vitest-environment jsdom
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { AlertChannel, AlertDelivery, AlertKind, AlertRule, OpenAlert } from "@/api/types";
import { momentInWords } from "@/format/time";
import { openPage, startApp } from "@/test-app";
import { EMPTY_LISTS, http, noteRequests, part, refusal, startServer } from "@/test-server";
import { timingInWords, type Timing } from "./timing";

const ID = "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a11";
const TIME = "2026-03-01T06:00:00Z";
const TOMORROW = new Date(Date.now() + 86_400_000).toISOString();
const page = <Row,>(rows: Row[]) => ({ results: rows, next: null, previous: null, count: rows.length });

const SNOOZE = { until: TOMORROW, reason: "The source is migrated", by: "ada@example.com", created_at: TIME };
const RULE = part<AlertRule>({
  id: ID,
  kind: "run_failed",
  settings: {},
  sentence: "A run fails",
  scope: "org",
  scope_id: null,
  scope_name: "",
  tag: "",
  channel_ids: [ID],
  urgent: false,
  enabled: true,
  snooze: null,
});
const CHANNEL = part<AlertChannel>({
  id: ID,
  name: "On call",
  kind: "email",
  settings: { to: [] },
  timing: { kind: "at_once" },
  held_until: null,
  enabled: true,
  failing_since: null,
  disabled_reason: "",
  last_delivery: null,
  editable: true,
});
const KIND: AlertKind = {
  kind: "email",
  title: "E-mail",
  description: "A mail.",
  settings: { type: "object", properties: {} },
  opens_incidents: false,
};
const EVENT = part<AlertDelivery["event"]>({
  kind: "opened",
  subject: { kind: "pipeline", id: ID, name: "Orders", url: "" },
  pipeline: { id: ID, name: "Orders", url: "" },
  run: null,
  summary: "has failed after 3 attempts",
});
const NIGHTS: Timing = {
  kind: "quiet_hours",
  timezone: "Europe/Berlin",
  periods: [
    { weekdays: ["monday", "tuesday", "wednesday", "thursday", "friday"], start: "22:00", end: "08:00" },
  ],
};

let kinds: AlertKind[];
let [rule, channel, alerts, deliveries] = [RULE, CHANNEL, [] as OpenAlert[], [] as AlertDelivery[]];

const ETAG = { headers: { ETag: '"7"' } };
const server = startServer(
  http.get("/api/v1/alerts/kinds", ({ response }) => response(200).json({ results: [], count: 0 })),
  http.get("/api/v1/alerts/channels/kinds", ({ response }) =>
    response(200).json({ results: kinds, count: kinds.length }),
  ),
  http.get("/api/v1/alerts/rules", ({ response }) => response(200).json(page([rule]))),
  http.get("/api/v1/alerts/channels", ({ response }) => response(200).json(page([channel]))),
  http.get("/api/v1/alerts/channels/{id}", ({ response }) => response(200).json(channel, ETAG)),
  http.patch("/api/v1/alerts/channels/{id}", ({ response }) => response(200).json(channel)),
  http.get("/api/v1/alerts/deliveries", ({ response }) => response(200).json(page(deliveries))),
  http.get("/api/v1/alerts/open", ({ response }) => response(200).json(page(alerts))),
  http.post("/api/v1/alerts/rules/{id}/snooze", ({ response }) => response(200).json(RULE)),
  http.delete("/api/v1/alerts/rules/{id}/snooze", ({ response }) => response(200).json(RULE)),
  http.post("/api/v1/alerts/open/{id}/snooze", ({ response }) => response(200).json(alerts[0]!)),
  http.delete("/api/v1/alerts/open/{id}/snooze", ({ response }) => response(200).json(alerts[0]!)),
  EMPTY_LISTS,
);
const requests = noteRequests(server);
const sent = () =>
  requests
    .filter(({ method }) => method !== "GET")
    .map(({ method, url, body }) => [method, url.pathname.replace("/api/v1/alerts", ""), body]);

beforeEach(() => {
  [rule, channel, deliveries] = [RULE, CHANNEL, []];
  kinds = [KIND];
  alerts = [part<OpenAlert>({ id: ID, rule_id: ID, opened_at: TIME, event: EVENT, snooze: null })];
  startApp(["read", "alerts.edit"]);
});
afterEach(cleanup);

describe("a snooze", () => {
  it("of a rule is for some hours, with a reason", async () => {
    await openPage("/alerts");
    await userEvent.click(await screen.findByRole("button", { name: /^Snooze\s*A run fails$/ }));
    const dialog = within(screen.getByRole("dialog", { name: "Snooze: A run fails" }));
    await userEvent.selectOptions(dialog.getByLabelText("For"), "4 hours");
    await userEvent.type(dialog.getByLabelText(/^Reason/), "Maintenance");
    const before = Date.now();
    await userEvent.click(dialog.getByRole("button", { name: "Snooze" }));
    await waitFor(() => expect(sent()).toHaveLength(1));
    const [method, path, body] = sent()[0] as [string, string, { until: string; reason: string }];
    expect([method, path, body.reason]).toEqual(["POST", `/rules/${ID}/snooze`, "Maintenance"]);
    const hours = (new Date(body.until).getTime() - before) / 3_600_000;
    expect(Math.round(hours)).toBe(4);
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    const opener = screen.getByRole("button", { name: /^Snooze\s*A run fails$/ });
    await waitFor(() => expect(document.activeElement).toBe(opener));
  });

  it("keeps the focus on the button, which then ends it", async () => {
    server.use(
      http.post("/api/v1/alerts/rules/{id}/snooze", ({ response }) => {
        rule = { ...RULE, snooze: SNOOZE };
        return response(200).json(rule);
      }),
    );
    await openPage("/alerts");
    await userEvent.click(await screen.findByRole("button", { name: /^Snooze/ }));
    const dialog = within(screen.getByRole("dialog"));
    await userEvent.click(dialog.getByRole("button", { name: "Snooze" }));
    const end = await screen.findByRole("button", { name: /^End snooze/ });
    await waitFor(() => expect(document.activeElement).toBe(end));
  });

  it("says at the field what the server refuses", async () => {
    server.use(
      http.post("/api/v1/alerts/rules/{id}/snooze", ({ response }) =>
        response.untyped(
          refusal(422, { errors: [{ field: "until", message: "Too late.", code: "invalid" }] }),
        ),
      ),
    );
    await openPage("/alerts");
    await userEvent.click(await screen.findByRole("button", { name: /^Snooze/ }));
    await userEvent.selectOptions(screen.getByLabelText("For"), "Until…");
    const until = screen.getByLabelText("Until");
    await userEvent.type(until, "2099-01-01T08:00");
    const dialog = within(screen.getByRole("dialog"));
    await userEvent.click(dialog.getByRole("button", { name: "Snooze" }));
    await screen.findByText("Too late.");
    expect(until.getAttribute("aria-invalid")).toBe("true");
  });

  it("is shown with its end, its author and its reason, and is ended with a button", async () => {
    rule = { ...RULE, snooze: SNOOZE };
    await openPage("/alerts");
    const text = await screen.findByText(/by ada@example.com/);
    expect(text.textContent).toBe(
      `Snoozed until ${momentInWords(TOMORROW)} by ada@example.com: The source is migrated`,
    );
    await userEvent.click(screen.getByRole("button", { name: /^End snooze\s*of A run fails$/ }));
    await waitFor(() => expect(sent()).toEqual([["DELETE", `/rules/${ID}/snooze`, null]]));
  });

  it("of an open alert is on the list of open alerts", async () => {
    await openPage("/alerts/open");
    await userEvent.click(
      await screen.findByRole("button", { name: /^Snooze\s*Orders has failed after 3 attempts$/ }),
    );
    const dialog = within(screen.getByRole("dialog"));
    await userEvent.click(dialog.getByRole("button", { name: "Snooze" }));
    await waitFor(() => expect(sent()[0]!.slice(0, 2)).toEqual(["POST", `/open/${ID}/snooze`]));
  });
});

describe("the open alerts", () => {
  it.each([
    ["limit", "Records of this month", "is at 85% of its limit", "Open the usage", "/settings/usage"],
    ["api_key", "Loader", "ends on 1 March", "Open the API keys", "/settings/api-keys"],
    ["connector", "Shop", "has a certificate that ends", "Open the connector", `/connectors/${ID}`],
  ] as const)("name a %s and lead to it", async (kind, name, summary, link, path) => {
    const event = { ...EVENT, subject: { kind, id: ID, name, url: "" }, pipeline: null, summary };
    alerts = [{ ...alerts[0]!, event }];
    await openPage("/alerts/open");
    const opened = await screen.findByRole("link", { name: link });
    expect(opened.getAttribute("href")).toBe(path);
    await userEvent.click(screen.getByRole("button", { name: new RegExp(`^Snooze\\s*${name} ${summary}$`) }));
    expect(screen.getByRole("dialog", { name: `Snooze: ${name} ${summary}` })).toBeTruthy();
  });

  it("say if there are none", async () => {
    alerts = [];
    await openPage("/alerts/open");
    await screen.findByText("No open alerts");
  });
});

describe("quiet hours", () => {
  it("are set with days, times and a time zone", async () => {
    await openPage("/alerts/channels");
    await userEvent.click(await screen.findByRole("button", { name: /^Edit\s*On call$/ }));
    await userEvent.selectOptions(await screen.findByLabelText("Messages are sent"), "Not in quiet hours");
    const days = within(screen.getByRole("group", { name: "Quiet hours 1 begin on" }));
    await userEvent.click(days.getByLabelText("Saturday"));
    await userEvent.click(days.getByLabelText("Sunday"));
    expect(screen.getByText("On the next day")).toBeTruthy();
    await userEvent.selectOptions(screen.getByLabelText("Time zone"), "Europe/Berlin");
    await userEvent.click(screen.getByRole("button", { name: "Save" }));
    await waitFor(() => expect(sent()).toHaveLength(1));
    expect(sent()[0]![2]).toMatchObject({ timing: NIGHTS });
  });

  it("can be several, of which one is removed", async () => {
    channel = { ...CHANNEL, timing: NIGHTS };
    await openPage("/alerts/channels");
    await userEvent.click(await screen.findByRole("button", { name: /^Edit\s*On call$/ }));
    await userEvent.click(await screen.findByRole("button", { name: "Add quiet hours" }));
    expect(screen.getByRole("group", { name: "Quiet hours 2 begin on" })).toBeTruthy();
    await userEvent.click(screen.getByRole("button", { name: /^Remove\s*quiet hours 1$/ }));
    await userEvent.click(screen.getByRole("button", { name: "Save" }));
    await waitFor(() => expect(sent()).toHaveLength(1));
    expect(sent()[0]![2]).toMatchObject({
      timing: { periods: [{ weekdays: ["saturday", "sunday"], start: "00:00", end: "00:00" }] },
    });
  });

  it("propose other times for each further period", async () => {
    await openPage("/alerts/channels");
    await userEvent.click(await screen.findByRole("button", { name: /^Edit\s*On call$/ }));
    await userEvent.selectOptions(await screen.findByLabelText("Messages are sent"), "Not in quiet hours");
    for (const number of [2, 3]) {
      await userEvent.click(screen.getByRole("button", { name: "Add quiet hours" }));
      await screen.findByRole("group", { name: `Quiet hours ${number} begin on` });
    }
    const starts = screen.getAllByLabelText<HTMLInputElement>("From").map(({ value }) => value);
    expect(new Set(starts).size).toBe(3);
  });

  it("say until when a channel is quiet", async () => {
    channel = { ...CHANNEL, timing: NIGHTS, held_until: TOMORROW };
    await openPage("/alerts/channels");
    const text = await screen.findByText(/^Quiet: Mon–Fri 22:00–08:00/);
    expect(text.textContent).toBe(
      `Quiet: Mon–Fri 22:00–08:00 (Europe/Berlin). Quiet until ${momentInWords(TOMORROW)}`,
    );
  });

  it("show what the server refuses at the field", async () => {
    server.use(
      http.patch("/api/v1/alerts/channels/{id}", ({ response }) =>
        response.untyped(
          refusal(422, {
            errors: [{ field: "timing.at", message: "Enter a time.", code: "invalid" }],
          }),
        ),
      ),
    );
    await openPage("/alerts/channels");
    await userEvent.click(await screen.findByRole("button", { name: /^Edit\s*On call$/ }));
    await userEvent.selectOptions(await screen.findByLabelText("Messages are sent"), "Once a day or week");
    await userEvent.click(screen.getByRole("button", { name: "Save" }));
    await screen.findByText("Enter a time.");
    expect(screen.getByLabelText("Time of the digest").getAttribute("aria-invalid")).toBe("true");
  });
});

describe("a digest", () => {
  it("is not offered for a kind that opens incidents", async () => {
    kinds = [KIND, { ...KIND, kind: "pagerduty", title: "PagerDuty", opens_incidents: true }];
    await openPage("/alerts/channels?edit=new");
    const timing = await screen.findByLabelText<HTMLSelectElement>("Messages are sent");
    await userEvent.selectOptions(timing, "Once a day or week");
    await userEvent.selectOptions(screen.getByLabelText("Kind"), "PagerDuty");
    expect(timing.value).toBe("at_once");
    expect(within(timing).queryByText("Once a day or week")).toBeNull();
    await userEvent.selectOptions(screen.getByLabelText("Kind"), "E-mail");
    expect(within(timing).getByText("Once a day or week")).toBeTruthy();
  });
});

describe("a form", () => {
  it.each([
    ["/alerts", "Create a rule"],
    ["/alerts/channels", "Create a channel"],
  ])("that is cancelled on %s gives the focus back to its button", async (address, name) => {
    await openPage(address);
    await userEvent.click(await screen.findByRole("button", { name }));
    await userEvent.click(await screen.findByRole("button", { name: "Cancel" }));
    await waitFor(() => expect(document.activeElement).toBe(screen.getByRole("button", { name })));
  });

  it("that is cancelled gives the focus back to the button of its row", async () => {
    await openPage("/alerts/channels");
    const edit = await screen.findByRole("button", { name: /^Edit\s*On call$/ });
    await userEvent.click(edit);
    await userEvent.click(await screen.findByRole("button", { name: "Cancel" }));
    await waitFor(() => expect(document.activeElement).toBe(edit));
  });
});

describe("a delivery", () => {
  const DELIVERY = part<AlertDelivery>({
    id: ID,
    channel: { id: ID, name: "On call" },
    kind: "opened",
    event: EVENT,
    state: "pending",
    attempts: 0,
    next_attempt_at: TIME,
    held_until: TOMORROW,
    answer_status: null,
    answer: "",
    problem: "",
    created_at: TIME,
    sent_at: null,
  });

  it("that waits for the end of quiet hours says so", async () => {
    deliveries = [DELIVERY];
    await openPage("/alerts/deliveries");
    await screen.findByText("Waiting");
    expect(screen.getByText(/^It is sent at/).textContent).toContain(momentInWords(TOMORROW));
  });

  it("that was snoozed says until when and by whom", async () => {
    const problem = "Snoozed until 2026-03-02 06:00 UTC by ada@example.com.";
    deliveries = [{ ...DELIVERY, state: "snoozed", held_until: null, next_attempt_at: null, problem }];
    await openPage("/alerts/deliveries");
    await screen.findByText(problem);
    expect(screen.getByText("Snoozed", { selector: "[data-status]" })).toBeTruthy();
  });
});

describe("a timing in words", () => {
  it.each<[Timing, string]>([
    [{ kind: "at_once" }, "At once"],
    [NIGHTS, "Quiet: Mon–Fri 22:00–08:00 (Europe/Berlin)"],
    [
      { kind: "digest", timezone: "UTC", weekdays: ["sunday", "monday"], at: "08:00" },
      "One message: Mon, Sun at 08:00 (UTC)",
    ],
    [
      {
        kind: "digest",
        timezone: "UTC",
        weekdays: ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
        at: "08:00",
      },
      "One message: every day at 08:00 (UTC)",
    ],
  ])("%j", (timing, words) => expect(timingInWords(timing)).toBe(words));
});
