// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, configure, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { http, part, refusal, startServer } from "@/test-server";
import { ApprovalCard } from "./approval-card";
import type { JsonRecord } from "./transcript";

configure({ asyncUtilTimeout: 10_000 });

const DECISION = "/api/v1/agent/conversations/{id}/approvals/{approval_id}";

/** The edited arguments that were sent. */
const sent: unknown[] = [];

const server = startServer(
  http.post(DECISION, async ({ request, response }) => {
    sent.push((await request.json()).arguments);
    return response(200).json(part({ id: "a1", state: "approved" }));
  }),
  http.post("/api/v1/schedules/words", async ({ request, response }) => {
    const { words, timezone = "UTC" } = await request.json();
    if (words === "By hand") return response(200).json({ schedule: null, in_words: "Manual", times: [] });
    if (words === "now and then") {
      const errors = [{ field: "words", message: "The words are not a schedule." }];
      return response.untyped(refusal(422, { errors }));
    }
    return response(200).json({
      schedule: part({ cron: "0 8 * * *", timezone }),
      in_words: `Daily at 08:00 (${timezone})`,
      times: ["2126-01-01T07:00:00Z", "2126-01-02T07:00:00Z", "2126-01-03T07:00:00Z"],
    });
  }),
);

/** The server refuses the next decision. */
function refuseOnce(status: number, problem: Parameters<typeof refusal>[1]) {
  const refuse = http.post(
    DECISION,
    async ({ request, response }) => {
      sent.push((await request.json()).arguments);
      return response.untyped(refusal(status, problem));
    },
    { once: true },
  );
  server.use(refuse);
}

beforeEach(() => {
  sent.length = 0;
});
afterEach(cleanup);

async function edit(tool: string, args: JsonRecord) {
  render(
    <QueryClientProvider client={new QueryClient()}>
      <ApprovalCard
        conversationId="c1"
        isOpen
        request={{
          type: "approval",
          id: "a1",
          state: "open",
          tool,
          title: "A tool",
          card: { title: "A tool", facts: [], changes: [], warnings: [], choices: [], form: null },
          arguments: args,
          expires_at: "2126-01-01T00:00:00Z",
        }}
      />
    </QueryClientProvider>,
  );
  await userEvent.click(screen.getByRole("button", { name: "Edit" }));
}

async function approve() {
  await userEvent.click(screen.getByRole("button", { name: "Approve with changes" }));
}

async function retype(label: string, text: string) {
  const field = screen.getByLabelText(new RegExp(`^${label}`));
  await userEvent.clear(field);
  await userEvent.type(field, text);
  return field;
}

const PLAN = {
  plan: {
    name: "Shop",
    base_url: "https://shop.example",
    streams: [
      { name: "orders", path: "/orders", primary_key: ["id"] },
      { name: "items", path: "/orders/{id}/items", parent: "orders" },
      { name: "tags", path: "/tags" },
    ],
  },
};
const PIPELINE = {
  name: "flights",
  source_connector_id: "k1",
  destination_connector_id: "k2",
  streams: [{ stream: "flights", sync_mode: "full_refresh", write_mode: "merge", primary_key: ["id"] }],
  schedule: { cron: "0 6 * * *", timezone: "Europe/Berlin" },
};

describe("the form of a plan", () => {
  it("leaves out a stream that is not checked, and renames one also where it is a parent", async () => {
    await edit("propose_source_plan", PLAN);
    await userEvent.click(screen.getByRole("checkbox", { name: /^tags/ }));
    await userEvent.click(screen.getAllByText("Change it")[0]!);
    const name = screen.getAllByLabelText("Name")[1]!;
    await userEvent.clear(name);
    await userEvent.type(name, "sales");
    const keys = screen.getAllByLabelText(/^Primary key/)[0]!;
    await userEvent.type(keys, ", shop,");
    await approve();
    expect(sent).toEqual([
      {
        plan: {
          ...PLAN.plan,
          streams: [
            { name: "sales", path: "/orders", primary_key: ["id", "shop"] },
            { name: "items", path: "/orders/{id}/items", parent: "sales" },
          ],
        },
      },
    ]);
  });

  it("is used with the keyboard alone", async () => {
    await edit("propose_source_plan", PLAN);
    screen.getByRole("checkbox", { name: /^tags/ }).focus();
    await userEvent.keyboard(" ");
    screen.getByRole("button", { name: "Approve with changes" }).focus();
    await userEvent.keyboard("{Enter}");
    expect((sent[0] as typeof PLAN).plan.streams.map(({ name }) => name)).toEqual(["orders", "items"]);
  });

  it("opens the stream with an error of the server, and puts the focus into its field", async () => {
    const errors = [{ field: "plan.streams.2.path", message: "must be a path such as /orders" }];
    refuseOnce(422, { errors });
    await edit("propose_source_plan", PLAN);
    await approve();
    await screen.findByText("must be a path such as /orders");
    expect(document.activeElement).toBe(screen.getAllByLabelText("Path")[2]);
    const stream = document.activeElement!.closest("details")!;
    expect(stream.open).toBe(true);
    await userEvent.type(document.activeElement!, "/tags");
    await approve();
    expect(sent).toHaveLength(2);
    expect(stream.open, "stays open after the error is corrected").toBe(true);
  });

  it("shows an error without a field above the buttons", async () => {
    const errors = [{ field: "plan", message: "two streams have the name 'tags'" }];
    refuseOnce(422, { errors });
    await edit("propose_source_plan", PLAN);
    await approve();
    expect((await screen.findByRole("alert")).textContent).toContain("two streams have the name");
  });
});

describe("the form of pipelines", () => {
  it("takes a schedule in words, in the time zone that it had, and shows its next times", async () => {
    await edit("create_pipelines", { pipelines: [PIPELINE] });
    expect((screen.getByLabelText("Schedule") as HTMLInputElement).value).toBe(
      "Daily at 06:00 (Europe/Berlin)",
    );
    await retype("Schedule", "daily at 8");
    expect(await screen.findByText(/Daily at 08:00 \(Europe\/Berlin\)\. Next runs/)).toBeTruthy();
    await approve();
    await vi.waitFor(() => expect(sent).toHaveLength(1));
    const schedule = { cron: "0 8 * * *", timezone: "Europe/Berlin" };
    expect(sent[0]).toEqual({ pipelines: [{ ...PIPELINE, schedule }] });
  });

  it("sends nothing while the schedule is not understood, and says so at its field", async () => {
    await edit("create_pipelines", { pipelines: [PIPELINE] });
    const field = await retype("Schedule", "now and then");
    await approve();
    expect(await screen.findByText("The words are not a schedule.")).toBeTruthy();
    await vi.waitFor(() => expect(document.activeElement).toBe(field));
    expect(sent).toEqual([]);
  });

  it("asks for a cursor field only if the stream is incremental", async () => {
    await edit("create_pipelines", { pipelines: [PIPELINE] });
    expect(screen.queryByLabelText(/^Cursor field/)).toBeNull();
    await userEvent.selectOptions(screen.getByLabelText("Sync mode"), "Incremental");
    await userEvent.type(screen.getByLabelText(/^Cursor field/), "updated_at");
    await approve();
    const stream = { ...PIPELINE.streams[0], sync_mode: "incremental", cursor_field: "updated_at" };
    expect(sent[0]).toEqual({ pipelines: [{ ...PIPELINE, streams: [stream] }] });
  });

  it("leaves out a pipeline that is not checked", async () => {
    await edit("create_pipelines", { pipelines: [PIPELINE, { ...PIPELINE, name: "weather" }] });
    await userEvent.click(screen.getByRole("checkbox", { name: /^flights/ }));
    await approve();
    expect(sent[0]).toEqual({ pipelines: [{ ...PIPELINE, name: "weather" }] });
  });

  it("leaves out a stream that is not checked, and changes the table of another one", async () => {
    const streams = [{ stream: "flights" }, { stream: "planes" }, { stream: "airlines" }];
    await edit("create_pipelines", { pipelines: [{ ...PIPELINE, streams }] });
    await userEvent.click(screen.getByRole("checkbox", { name: /^planes/ }));
    await userEvent.click(screen.getAllByText("Change it")[1]!);
    await userEvent.type(screen.getAllByLabelText(/^Destination table/)[1]!, "carriers");
    await approve();
    const kept = [{ stream: "flights" }, { stream: "airlines", table: "carriers" }];
    expect(sent[0]).toEqual({ pipelines: [{ ...PIPELINE, streams: kept }] });
  });

  it("changes the patterns, their naming rule and what happens to new streams", async () => {
    const patterns = { match: ["*"], sync_mode: "full_refresh" };
    const pipeline = { ...PIPELINE, streams: [] };
    await edit("create_pipelines", { pipelines: [{ ...pipeline, patterns }] });
    await userEvent.type(screen.getByLabelText(/^Patterns/), ", !*_tmp");
    await userEvent.type(screen.getByLabelText(/^Destination tables/), "raw_{{table}");
    await userEvent.selectOptions(screen.getByLabelText("New streams"), "Ask first");
    await approve();
    const changed = {
      patterns: { ...patterns, match: ["*", "!*_tmp"] },
      naming: "raw_{table}",
      new_streams: "ask",
    };
    expect(sent[0]).toEqual({ pipelines: [{ ...pipeline, ...changed }] });
  });

  it("shows at the name that the server has it already", async () => {
    refuseOnce(409, { code: "name_taken", detail: "That name is already used here." });
    await edit("create_pipelines", { pipelines: [PIPELINE] });
    await approve();
    await vi.waitFor(() => expect(screen.getByLabelText("Name").getAttribute("aria-invalid")).toBe("true"));
  });
});

describe("the form of a change", () => {
  it("has the values that change, and keeps what happens if runs overlap, blackouts and the last day", async () => {
    const kept = {
      overlap: "queue",
      blackouts: [{ first_day: "2026-12-24", last_day: "2026-12-26" }],
      end_date: "2027-06-30",
    };
    const schedule = { ...kept, interval_seconds: 3600, timezone: "UTC" };
    await edit("update_pipeline", { pipeline_id: "p1", name: "arrivals", schedule });
    expect(screen.queryByLabelText(/pipeline id/i)).toBeNull();
    expect((screen.getByLabelText("Schedule") as HTMLInputElement).value).toBe("Every hour");
    await retype("Name", "departures");
    await retype("Schedule", "daily at 8");
    await approve();
    await vi.waitFor(() => expect(sent).toHaveLength(1));
    expect(sent[0]).toEqual({
      pipeline_id: "p1",
      name: "departures",
      schedule: { ...kept, cron: "0 8 * * *", timezone: "UTC" },
    });
  });

  it("has no field for the times of a schedule that do not change", async () => {
    await edit("update_pipeline", { pipeline_id: "p1", name: "arrivals", schedule: { overlap: "queue" } });
    expect(screen.queryByLabelText("Schedule")).toBeNull();
    await approve();
    expect(sent).toEqual([{ pipeline_id: "p1", name: "arrivals", schedule: { overlap: "queue" } }]);
  });

  it("has the streams that are added and removed, and leaves out a rule for a field", async () => {
    const rules = [
      { field: "email", protect: "hash" },
      { field: "phone", drop: true },
    ];
    const args = {
      pipeline_id: "p1",
      streams: [{ stream: "users", fields: rules }],
      add_streams: [{ stream: "orders" }, { stream: "logs" }],
      remove_streams: ["carts", "sessions"],
    };
    await edit("update_pipeline", args);
    await userEvent.click(screen.getByRole("checkbox", { name: /^logs/ }));
    await userEvent.click(screen.getByRole("checkbox", { name: "phone drop in users" }));
    await retype("Streams that are removed", "carts");
    await approve();
    expect(sent[0]).toEqual({
      pipeline_id: "p1",
      streams: [{ stream: "users", fields: [rules[0]] }],
      add_streams: [{ stream: "orders" }],
      remove_streams: ["carts"],
    });
  });

  it("removes the schedule with the words of a schedule by hand", async () => {
    await edit("update_pipeline", { pipeline_id: "p1", schedule: { cron: "0 6 * * *", timezone: "UTC" } });
    await retype("Schedule", "By hand");
    await approve();
    await vi.waitFor(() => expect(sent).toEqual([{ pipeline_id: "p1", schedule: null }]));
  });
});

describe("the JSON view", () => {
  it("has the changes of the form, and the form has those of the JSON", async () => {
    await edit("set_pipeline_enabled", { pipeline_id: "p1", enabled: true });
    await userEvent.click(screen.getByRole("checkbox", { name: "Enabled" }));
    await userEvent.click(screen.getByRole("button", { name: "As JSON" }));
    const field = await screen.findByLabelText("Arguments");
    expect(JSON.parse((field as HTMLTextAreaElement).value)).toEqual({ pipeline_id: "p1", enabled: false });
    await userEvent.clear(field);
    await userEvent.paste('{"pipeline_id": "p1", "enabled": true}');
    await userEvent.click(screen.getByRole("button", { name: "Form" }));
    expect((screen.getByRole("checkbox", { name: "Enabled" }) as HTMLInputElement).checked).toBe(true);
  });

  it("stays open while the JSON is not valid", async () => {
    await edit("set_pipeline_enabled", { pipeline_id: "p1", enabled: true });
    await userEvent.click(screen.getByRole("button", { name: "As JSON" }));
    await userEvent.type(await screen.findByLabelText("Arguments"), "x");
    await userEvent.click(screen.getByRole("button", { name: "Form" }));
    expect(screen.getByText(/This is not valid JSON/)).toBeTruthy();
    expect(screen.getByLabelText("Arguments")).toBeTruthy();
  });

  it("is the only view of arguments that have no field", async () => {
    await edit("delete_pipeline", { pipeline_id: "p1" });
    expect(screen.getByLabelText("Arguments")).toBeTruthy();
    expect(screen.queryByRole("button", { name: "Form" })).toBeNull();
  });
});
