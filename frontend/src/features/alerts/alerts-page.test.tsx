// @vitest-environment jsdom
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type {
  AlertChannel,
  AlertDelivery,
  AlertKind,
  AlertRule,
  AlertRuleKind,
  PipelineRow,
} from "@/api/types";
import { currentSearch, openPage, startApp } from "@/test-app";
import { EMPTY_LISTS, http, logIn, noteRequests, part, refusal, startServer, type Part } from "@/test-server";

const [ID, OTHER_ID] = ["0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a11", "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a12"];
const TIME = "2026-03-01T06:00:00Z";
const page = <Row,>(rows: Row[]) => ({ results: rows, next: null, previous: null, count: rows.length });

const RULE_KINDS = part<AlertRuleKind[]>([
  {
    kind: "run_failed",
    title: "A run fails",
    description: "A run has failed after its retries.",
    settings: { type: "object", properties: {} },
    scopes: ["org", "domain", "tag", "pipeline"],
  },
  // A kind that this page has never heard of.
  {
    kind: "cold",
    title: "It is too cold",
    description: "The temperature is below a limit.",
    settings: {
      type: "object",
      properties: { degrees: { type: "integer", title: "Lowest temperature", minimum: -40 } },
    },
    scopes: ["org"],
  } as unknown as AlertRuleKind,
]);
const CHANNEL_KINDS: AlertKind[] = [
  {
    kind: "email",
    title: "E-mail",
    description: "A mail.",
    settings: {
      type: "object",
      properties: { to: { type: "array", title: "Addresses", items: { type: "string" } } },
    },
    opens_incidents: false,
  },
  {
    kind: "webhook",
    title: "Webhook",
    description: "A signed POST request.",
    settings: {
      type: "object",
      properties: { url: { type: "string", title: "URL" }, secret: { type: "string", writeOnly: true } },
      required: ["url", "secret"],
    },
    opens_incidents: false,
  },
];
const RULE: AlertRule = {
  id: ID,
  kind: "run_failed",
  settings: {},
  sentence: "A run fails",
  scope: "tag",
  scope_id: null,
  scope_name: "",
  tag: "daily",
  channel_ids: [ID],
  urgent: false,
  enabled: true,
  snooze: null,
  created_at: TIME,
  updated_at: TIME,
};
const CHANNEL: AlertChannel = {
  id: ID,
  name: "On call",
  kind: "webhook",
  settings: { url: "https://hooks.example.com/a", secret: { set: true, last4: "9f2c" } },
  timing: { kind: "at_once" },
  held_until: null,
  enabled: true,
  failing_since: null,
  disabled_reason: "",
  last_delivery: null,
  editable: true,
  created_at: TIME,
  updated_at: TIME,
};
const DELIVERY = part<AlertDelivery>({
  id: ID,
  channel: { id: ID, name: "On call" },
  kind: "opened",
  event: {
    kind: "opened",
    subject: { kind: "pipeline", id: ID, name: "Orders" },
    summary: "has failed after 3 attempts",
  },
  state: "failed",
  attempts: 1,
  next_attempt_at: null,
  answer_status: 410,
  answer: "gone",
  problem: "The server answered 410.",
  created_at: TIME,
  sent_at: null,
});

let rules: AlertRule[];
let channels: AlertChannel[];
let tested: Part<AlertDelivery>[]; // the states of the test message, one for each look at it

const ETAG = { headers: { ETag: '"7"' } };
const server = startServer(
  http.get("/api/v1/alerts/kinds", ({ response }) =>
    response(200).json({ results: RULE_KINDS, count: RULE_KINDS.length }),
  ),
  http.get("/api/v1/alerts/channels/kinds", ({ response }) =>
    response(200).json({ results: CHANNEL_KINDS, count: CHANNEL_KINDS.length }),
  ),
  http.get("/api/v1/alerts/rules", ({ response }) => response(200).json(page(rules))),
  http.get("/api/v1/alerts/rules/{id}", ({ response }) => response(200).json(rules[0]!, ETAG)),
  http.post("/api/v1/alerts/rules", ({ response }) => response(201).json(RULE)),
  http.patch("/api/v1/alerts/rules/{id}", ({ response }) => response(200).json(RULE)),
  http.delete("/api/v1/alerts/rules/{id}", ({ response }) => response(204).empty()),
  http.get("/api/v1/alerts/channels", ({ response }) => response(200).json(page(channels))),
  http.get("/api/v1/alerts/channels/{id}", ({ response }) => response(200).json(channels[0]!, ETAG)),
  http.post("/api/v1/alerts/channels", ({ response }) => response(201).json(CHANNEL)),
  http.patch("/api/v1/alerts/channels/{id}", ({ response }) => response(200).json(CHANNEL)),
  http.delete("/api/v1/alerts/channels/{id}", ({ response }) => response(204).empty()),
  http.post("/api/v1/alerts/channels/{id}/test", ({ response }) => response(202).json(DELIVERY)),
  http.get("/api/v1/alerts/deliveries", ({ query, response }) =>
    response(200).json(page(query.get("state") === "pending" ? [] : [DELIVERY])),
  ),
  http.get("/api/v1/alerts/deliveries/{id}", ({ response }) =>
    response(200).json({ ...DELIVERY, ...(tested.length > 1 ? tested.shift() : tested[0]) } as AlertDelivery),
  ),
  http.post("/api/v1/alerts/deliveries/{id}/replay", ({ response }) => response(202).json(DELIVERY)),
  http.get("/api/v1/pipelines", ({ response }) =>
    response(200).json(page([part<PipelineRow>({ id: OTHER_ID, name: "Orders" })])),
  ),
  http.get("/api/v1/pipelines/facets", ({ response }) =>
    response(200).json(part({ tag: [{ value: "daily", label: "daily", count: 1 }] })),
  ),
  EMPTY_LISTS,
);
const requests = noteRequests(server);

/** The changes that were sent: method, path and body. */
const sent = () =>
  requests
    .filter(({ method }) => method !== "GET")
    .map(({ method, url, body }) => [method, url.pathname.replace("/api/v1/alerts", ""), body]);

beforeEach(() => {
  [rules, channels, tested] = [[RULE], [CHANNEL], [{}]];
  startApp(["read", "alerts.edit"]);
});
afterEach(cleanup);

const rowOf = async (title: string) =>
  within((await screen.findByText(title, { selector: ".font-medium" })).closest("li")!);
/** The name of a button whose object is named for screen readers only. */
const named = (verb: string, object: string) => new RegExp(`^${verb}\\s*${object}$`);

describe("the rules", () => {
  it("are sentences with the pipelines they are for and the channels they tell", async () => {
    await openPage("/alerts");
    const row = await rowOf("A run fails");
    await row.findByText("On call");
    expect(row.getByText(/Pipelines with the tag/).textContent).toBe(
      "Pipelines with the tag daily. Tells On call.",
    );
  });

  it("say if nobody is told", async () => {
    rules = [{ ...RULE, channel_ids: [] }];
    await openPage("/alerts");
    await screen.findByText("Nobody is told: it has no channel.");
  });

  it("of a kind that the page does not know are shown, and created, by the schema of the kind", async () => {
    rules = [
      { ...RULE, kind: "cold" as never, sentence: "It is colder than -3 degrees", scope: "org", tag: "" },
    ];
    await openPage("/alerts");
    await rowOf("It is colder than -3 degrees");
    await userEvent.click(screen.getByRole("button", { name: "Create a rule" }));
    const kind = await screen.findByLabelText("An alert opens when");
    expect(document.activeElement).toBe(kind);
    await userEvent.selectOptions(kind, "It is too cold");
    expect(within(screen.getByLabelText("Applies to")).getAllByRole("option")).toHaveLength(1);
    await userEvent.type(screen.getByLabelText(/^Lowest temperature/), "5");
    await userEvent.click(screen.getByRole("checkbox", { name: "On call" }));
    await userEvent.click(screen.getByRole("button", { name: "Create rule" }));
    await waitFor(() => expect(sent()).toHaveLength(1));
    expect(sent()[0]).toEqual([
      "POST",
      "/rules",
      { kind: "cold", settings: { degrees: 5 }, scope: "org", channel_ids: [ID], urgent: false },
    ]);
    expect(currentSearch()).toEqual({});
  });

  it("are created for a pipeline, which the address may name", async () => {
    await openPage(`/alerts?edit=new&pipeline=${OTHER_ID}`);
    const pipeline = await screen.findByLabelText<HTMLSelectElement>("Pipeline");
    expect(pipeline.value).toBe(OTHER_ID);
    await userEvent.click(await screen.findByRole("checkbox", { name: "On call" }));
    await userEvent.click(screen.getByRole("button", { name: "Create rule" }));
    await waitFor(() =>
      expect(sent()).toEqual([
        [
          "POST",
          "/rules",
          {
            kind: "run_failed",
            settings: {},
            scope: "pipeline",
            scope_id: OTHER_ID,
            channel_ids: [ID],
            urgent: false,
          },
        ],
      ]),
    );
  });

  it("are changed only if nobody else has changed them", async () => {
    await openPage("/alerts");
    await userEvent.click((await rowOf("A run fails")).getByRole("button", { name: /^Edit/ }));
    const tag = await screen.findByLabelText("Tag");
    await userEvent.clear(tag);
    await userEvent.type(tag, "weekly");
    await userEvent.click(screen.getByRole("button", { name: "Save" }));
    await waitFor(() => expect(sent()).toHaveLength(1));
    expect(sent()[0]![2]).toMatchObject({ scope: "tag", tag: "weekly", channel_ids: [ID] });
    expect(requests.find(({ method }) => method === "PATCH")!.headers.get("If-Match")).toBe('"7"');
  });

  it("show what the server refuses at the field", async () => {
    server.use(
      http.post("/api/v1/alerts/rules", ({ response }) =>
        response.untyped(
          refusal(422, { errors: [{ field: "settings.degrees", message: "Too low.", code: "invalid" }] }),
        ),
      ),
    );
    await openPage("/alerts?edit=new");
    await userEvent.selectOptions(await screen.findByLabelText("An alert opens when"), "It is too cold");
    const field = screen.getByLabelText(/^Lowest temperature/);
    await userEvent.type(field, "-30");
    await userEvent.click(screen.getByRole("button", { name: "Create rule" }));
    await screen.findByText("Too low.");
    expect(field.getAttribute("aria-invalid")).toBe("true");
  });

  it("are disabled with a switch, and deleted only after a question", async () => {
    await openPage("/alerts");
    const row = await rowOf("A run fails");
    await userEvent.click(row.getByRole("switch", { name: named("Enabled", "A run fails") }));
    await waitFor(() => expect(sent()).toEqual([["PATCH", `/rules/${ID}`, { enabled: false }]]));
    await userEvent.click(row.getByRole("button", { name: /^Delete/ }));
    expect(sent()).toHaveLength(1);
    const dialog = within(screen.getByRole("dialog", { name: "Delete this rule?" }));
    await userEvent.click(dialog.getByRole("button", { name: "Delete" }));
    await waitFor(() => expect(sent()[1]).toEqual(["DELETE", `/rules/${ID}`, null]));
  });

  it("teach what they are for if there are none", async () => {
    rules = [];
    await openPage("/alerts");
    await screen.findByText("Nobody is told about failures");
  });

  it("are searched by what they say", async () => {
    await openPage("/alerts?q=DAILY");
    await rowOf("A run fails");
    await userEvent.type(screen.getByRole("searchbox"), "x");
    await screen.findByText("No rules match");
  });
});

describe("the channels", () => {
  it("say where they send, without their secrets, and how the last delivery ended", async () => {
    channels = [
      {
        ...CHANNEL,
        failing_since: TIME,
        last_delivery: {
          id: ID,
          state: "failed",
          answer_status: 500,
          problem: "The server answered 500.",
          created_at: TIME,
          sent_at: null,
        },
      },
      { ...CHANNEL, id: OTHER_ID, name: "Owners", kind: "email", settings: { to: [] } },
    ];
    await openPage("/alerts/channels");
    const row = await rowOf("On call");
    await row.findByText("URL: https://hooks.example.com/a");
    expect(row.getByText("Secret: Set, ends in 9f2c")).toBeTruthy();
    expect(row.getByText(/accepted nothing since/).textContent).toContain("The server answered 500.");
    expect(row.getByRole("link", { name: "failed (500)" })).toBeTruthy();
    expect((await rowOf("Owners")).getByText("Addresses: the owners of the organization")).toBeTruthy();
  });

  it("say why they cannot be changed if a rule that the user cannot see uses them", async () => {
    channels = [{ ...CHANNEL, editable: false }];
    await openPage(`/alerts/channels?edit=${ID}`);
    const row = await rowOf("On call");
    expect(row.getByText(/only an admin can change it/)).toBeTruthy();
    expect(row.getAllByRole("button").map(({ textContent }) => textContent)).toEqual(["Test On call"]);
    expect(row.queryByLabelText("Name")).toBeNull();
  });

  it("say why Drover has disabled one, which cannot be tested then", async () => {
    channels = [{ ...CHANNEL, enabled: false, disabled_reason: "It has failed for 7 days." }];
    await openPage("/alerts/channels");
    const row = await rowOf("On call");
    expect(row.getByText("Disabled. It has failed for 7 days.")).toBeTruthy();
    await userEvent.click(row.getByRole("button", { name: named("Test", "On call") }));
    expect(sent()).toEqual([]);
    await userEvent.click(row.getByRole("switch", { name: named("Enabled", "On call") }));
    await waitFor(() => expect(sent()).toEqual([["PATCH", `/channels/${ID}`, { enabled: true }]]));
  });

  it("are created with the settings of their kind", async () => {
    await openPage("/alerts/channels");
    await userEvent.click(await screen.findByRole("button", { name: "Create a channel" }));
    const kind = await screen.findByLabelText("Kind");
    expect(document.activeElement).toBe(kind);
    await userEvent.selectOptions(kind, "Webhook");
    await userEvent.type(screen.getByLabelText("Name"), "Team");
    await userEvent.type(screen.getByLabelText("URL"), "https://hooks.example.com/b");
    await userEvent.type(screen.getByLabelText("Secret"), "correct horse battery");
    await userEvent.click(screen.getByRole("button", { name: "Create channel" }));
    const settings = { url: "https://hooks.example.com/b", secret: "correct horse battery" };
    await waitFor(() =>
      expect(sent()).toEqual([
        ["POST", "/channels", { kind: "webhook", name: "Team", settings, timing: { kind: "at_once" } }],
      ]),
    );
  });

  it("keep their secret unless another one is typed", async () => {
    await openPage("/alerts/channels");
    await userEvent.click(await screen.findByRole("button", { name: named("Edit", "On call") }));
    const name = await screen.findByLabelText("Name");
    await userEvent.type(name, "!");
    await userEvent.click(screen.getByRole("button", { name: "Save" }));
    await waitFor(() => expect(sent()).toHaveLength(1));
    expect(sent()[0]![2]).toEqual({
      name: "On call!",
      settings: CHANNEL.settings,
      timing: CHANNEL.timing,
    });
    await userEvent.click(await screen.findByRole("button", { name: named("Edit", "On call") }));
    await userEvent.click(await screen.findByRole("button", { name: "Replace" }));
    await userEvent.type(screen.getByLabelText("Secret"), "another horse battery");
    await userEvent.click(screen.getByRole("button", { name: "Save" }));
    await waitFor(() => expect(sent()).toHaveLength(2));
    expect(sent()[1]![2]).toMatchObject({ settings: { secret: "another horse battery" } });
  });

  it("say in words what became of a test message", async () => {
    tested = [
      { state: "pending", attempts: 0, problem: "", answer_status: null },
      { state: "sent", attempts: 1, answer_status: 200, answer: "ok" },
    ];
    await openPage("/alerts/channels");
    const row = await rowOf("On call");
    await userEvent.click(row.getByRole("button", { name: named("Test", "On call") }));
    await row.findByText("It is being sent…");
    await row.findByText("Accepted with status 200: ok", {}, { timeout: 5_000 });
  });

  it("are deleted only after their name was typed", async () => {
    await openPage("/alerts/channels");
    await userEvent.click(await screen.findByRole("button", { name: named("Delete", "On call") }));
    const dialog = within(screen.getByRole("dialog", { name: "Delete On call?" }));
    await userEvent.type(dialog.getByLabelText("Type On call to confirm"), "On call");
    await userEvent.click(dialog.getByRole("button", { name: "Delete" }));
    await waitFor(() => expect(sent()).toEqual([["DELETE", `/channels/${ID}`, null]]));
  });
});

describe("the deliveries", () => {
  it("say what was sent, to which channel, and what the answer was", async () => {
    await openPage("/alerts/deliveries");
    const row = within((await screen.findByText(/has failed after 3 attempts/)).closest("tr")!);
    expect(row.getByRole("button", { name: "Orders has failed after 3 attempts" })).toBeTruthy();
    expect(row.getByText("On call", { selector: "bdi" })).toBeTruthy();
    expect(row.getByText("Failed")).toBeTruthy();
    expect(row.getByText("The server answered 410.")).toBeTruthy();
  });

  it("are filtered by the address", async () => {
    await openPage("/alerts/deliveries");
    await screen.findByText(/has failed after 3 attempts/);
    await userEvent.selectOptions(screen.getByLabelText("State"), "Pending");
    await screen.findByText("No deliveries match");
    expect(currentSearch()).toEqual({ state: "pending" });
    await userEvent.click(screen.getAllByRole("button", { name: "Clear filters" })[0]!);
    await screen.findByText(/has failed after 3 attempts/);
  });

  it("are opened in a dialog with the event, which has an address", async () => {
    await openPage("/alerts/deliveries");
    await userEvent.click(await screen.findByText(/has failed after 3 attempts/));
    const dialog = within(await screen.findByRole("dialog", { name: "Orders has failed after 3 attempts" }));
    expect(dialog.getByLabelText("Event as JSON").textContent).toBe(JSON.stringify(DELIVERY.event, null, 2));
    expect(currentSearch()).toEqual({ delivery: ID });
    await userEvent.click(dialog.getByRole("button", { name: "Close" }));
    expect(currentSearch()).toEqual({});
  });

  it.each([
    ["limit", "rows_month", "Records this month", "Limit", "/settings/usage"],
    ["api_key", ID, "Nightly", "API key", "/settings/api-keys"],
    ["connector", ID, "Warehouse", "Connector", `/connectors/${ID}`],
  ] as const)("about a %s lead to its page", async (kind, id, name, title, path) => {
    const subject = { kind, id, name, url: `https://drover.example.com${path}` };
    const event = { ...DELIVERY.event, subject, pipeline: null, summary: "needs your attention" };
    server.use(
      http.get("/api/v1/alerts/deliveries", ({ response }) =>
        response(200).json(page([{ ...DELIVERY, event }])),
      ),
      http.get("/api/v1/alerts/deliveries/{id}", ({ response }) =>
        response(200).json({ ...DELIVERY, event }),
      ),
    );
    await openPage("/alerts/deliveries");
    await userEvent.click(await screen.findByText(/needs your attention/));
    const dialog = within(await screen.findByRole("dialog", { name: `${name} needs your attention` }));
    expect(dialog.getByText(title)).toBeTruthy();
    expect(dialog.getByRole("link", { name }).getAttribute("href")).toBe(path);
  });

  it("are sent again", async () => {
    await openPage("/alerts/deliveries");
    await userEvent.click(
      await screen.findByRole("button", { name: named("Send again", "Orders to On call") }),
    );
    await waitFor(() => expect(sent()).toEqual([["POST", `/deliveries/${ID}/replay`, null]]));
  });

  it("are not sent again while they are being sent", async () => {
    server.use(
      http.get("/api/v1/alerts/deliveries", ({ response }) =>
        response(200).json(page([{ ...DELIVERY, state: "pending" as const, next_attempt_at: TIME }])),
      ),
    );
    await openPage("/alerts/deliveries");
    await screen.findByText("Retrying");
    await userEvent.click(screen.getByRole("button", { name: named("Send again", "Orders to On call") }));
    expect(sent()).toEqual([]);
  });
});

describe("without the permission for the whole organization", () => {
  it.each(["/alerts", "/alerts/channels", "/alerts/deliveries"])(
    "a viewer is told so at %s",
    async (path) => {
      startApp(["read"]);
      await openPage(path);
      await screen.findByText(/You need the permission to edit alerts/);
      expect(screen.queryByRole("link", { name: "Alerts" })).toBeNull();
      expect(requests.filter(({ url }) => url.pathname.includes("/alerts/"))).toEqual([]);
    },
  );

  it("a member of a domain changes the rules of the domain only", async () => {
    rules = [
      RULE,
      { ...RULE, id: OTHER_ID, scope: "domain", scope_id: "d1", scope_name: "Marketing", tag: "" },
    ];
    startApp(["read"]);
    logIn(["read"], [{ id: "d1", permissions: ["read", "alerts.edit"] }]);
    await openPage("/alerts");
    await screen.findByText("Marketing");
    expect(screen.getAllByRole("button", { name: /^Edit/ })).toHaveLength(1);
    await userEvent.click(screen.getByRole("button", { name: "Create a rule" }));
    const scopes = within(await screen.findByLabelText("Applies to")).getAllByRole("option");
    expect(scopes.map(({ textContent }) => textContent)).toEqual(["A domain", "One pipeline"]);
    const kinds = within(screen.getByLabelText("An alert opens when")).getAllByRole("option");
    expect(kinds.map(({ textContent }) => textContent)).toEqual(["A run fails"]); // the other is for the organization
  });

  it("a member of a domain sees the channels, and cannot change them", async () => {
    startApp(["read"]);
    logIn(["read"], [{ id: "d1", permissions: ["read", "alerts.edit"] }]);
    await openPage("/alerts/channels");
    await rowOf("On call");
    expect(screen.queryByRole("button", { name: /Test|Edit|Delete|Create/ })).toBeNull();
  });
});
