// @vitest-environment jsdom
import { QueryClient, QueryClientProvider, useQuery } from "@tanstack/react-query";
import { cleanup, render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Connector } from "@/api/types";
import { connectorQuery } from "@/components/connectors/queries";
import type { Schema } from "@/components/schema-form/schema";
import { EMPTY_LISTS, http, logIn, part, refusal, startServer } from "@/test-server";
import { EditForm } from "./edit-form";

const SCHEMA: Schema = {
  type: "object",
  required: ["host", "port"],
  properties: {
    host: { type: "string", title: "Host" },
    port: { type: "integer", title: "Port" },
    password: { type: "string", writeOnly: true, title: "Password" },
  },
};
const SHOP = part<Connector>({
  id: "c1",
  name: "Shop",
  role: "source",
  kind: "postgres",
  description: "",
  domain: null,
  config: { host: "db.example.com", port: 5432, password: { set: true, last4: "9f2c" } },
  version: 1,
});

const PASSED = { step: "connect", ok: true, message: "connected", ms: 3, next_step: null };
const FAILED = { step: "connect", ok: false, message: "refused", ms: 3, next_step: "Check the host." };

/** The requests that change or test something, and what is saved now. */
const sent: { path: string; ifMatch: string | null; body: unknown }[] = [];
let saved: Connector;
let testPasses: boolean;

startServer(
  http.get("/api/v1/connectors/{id}", ({ response }) => response(200).json(saved)),
  http.post("/api/v1/connectors/{id}/check", async ({ request, response }) => {
    await note(request);
    return response(200).json(part({ ok: testPasses, steps: [testPasses ? PASSED : FAILED] }));
  }),
  // As the server, it refuses a change of an older version.
  http.patch("/api/v1/connectors/{id}", async ({ request, response }) => {
    if ((await note(request)) !== `"${saved.version}"`) return response.untyped(refusal(412));
    saved = { ...saved, version: saved.version + 1 };
    return response(200).json(saved);
  }),
  EMPTY_LISTS,
);

/** Keeps the request, and returns the version that it changes. */
async function note(request: Request): Promise<string | null> {
  const ifMatch = request.headers.get("If-Match");
  sent.push({ path: new URL(request.url).pathname, ifMatch, body: await request.json() });
  return ifMatch;
}

beforeEach(() => {
  sent.length = 0;
  saved = SHOP;
  testPasses = true;
  Element.prototype.scrollIntoView = () => undefined; // jsdom has no layout
  logIn(["connectors.edit"]);
});
afterEach(cleanup);

function Page() {
  const { data } = useQuery(connectorQuery(SHOP.id));
  return (
    data && (
      <>
        <p>Version {data.version} is loaded</p>
        <EditForm connector={data} schema={SCHEMA} />
      </>
    )
  );
}

/** Shows the form. Returns a function that shows a newer version, as after a request in the background. */
async function show() {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  render(
    <QueryClientProvider client={client}>
      <Page />
    </QueryClientProvider>,
  );
  await screen.findByRole("button", { name: "Save" });
  return async (connector: Connector) => {
    saved = connector;
    await client.refetchQueries();
    // The query tells the page of its result by a timer, so the page may render after the refetch ends.
    await screen.findByText(`Version ${connector.version} is loaded`);
  };
}

/** The field whose label begins with this text. The labels of optional fields end with "optional". */
const fieldOf = (label: string) => screen.getByLabelText<HTMLInputElement>(new RegExp(`^${label}`));

async function type(label: string, text: string) {
  await userEvent.clear(fieldOf(label));
  await userEvent.type(fieldOf(label), text);
}

const click = (name: string) => userEvent.click(screen.getByRole("button", { name }));
const valueOf = (label: string) => fieldOf(label).value;

describe("a change of a connector", () => {
  it("is tested, then sent with the version that was edited and without what was not changed, then stored as tested", async () => {
    await show();
    expect(screen.getByRole("button", { name: "Save" }).getAttribute("aria-disabled")).toBe("true");
    await click("Replace");
    await type("Password", "the next one");
    await click("Save");
    const body = { config: { password: "the next one" } };
    await waitFor(() =>
      expect(sent).toEqual([
        { path: "/api/v1/connectors/c1/check", ifMatch: null, body },
        { path: "/api/v1/connectors/c1", ifMatch: '"1"', body },
        { path: "/api/v1/connectors/c1/check", ifMatch: null, body: {} },
      ]),
    );
  });

  it("is not tested if it changes no setting", async () => {
    await show();
    await type("Name", "Store");
    await click("Save");
    await waitFor(() => expect(sent).toHaveLength(1));
    expect(sent[0]).toMatchObject({ path: "/api/v1/connectors/c1", body: { name: "Store" } });
  });

  it("that fails its test is not saved, until the user saves it anyway, marked as not tested", async () => {
    testPasses = false;
    await show();
    await type("Port", "5433");
    await click("Save");
    const alert = await screen.findByText(/The test failed, so nothing is saved yet/);
    expect(alert.closest("[role=alert]")!.textContent).toContain("marked as not tested");
    expect(screen.getByText("Check the host.")).toBeTruthy();
    expect(sent.map(({ path }) => path)).toEqual(["/api/v1/connectors/c1/check"]);
    await click("Save anyway");
    await waitFor(() => expect(sent).toHaveLength(2)); // without a test of the saved settings
    expect(sent[1]).toMatchObject({ path: "/api/v1/connectors/c1", body: { config: { port: 5433 } } });
  });

  it("cannot be saved without a passed test any more after another change", async () => {
    testPasses = false;
    await show();
    await type("Port", "5433");
    await click("Save");
    await screen.findByRole("button", { name: "Save anyway" });
    await type("Port", "5434");
    expect(screen.queryByRole("button", { name: "Save anyway" })).toBeNull();
  });

  it("can be tested before it is saved", async () => {
    await show();
    await type("Port", "5433");
    await click("Test connection");
    await screen.findByText("The test used your changes. They are not saved yet.");
    await click("Discard changes");
    expect(valueOf("Port")).toBe("5432");
    await click("Test connection");
    expect(sent.map(({ body }) => body)).toEqual([{ config: { port: 5433 } }, {}]);
  });

  it("is saved at once if exactly this change has just passed a test", async () => {
    await show();
    await type("Port", "5433");
    await click("Test connection");
    await screen.findByText("The test used your changes. They are not saved yet.");
    await click("Save");
    await screen.findByRole("button", { name: "Save" });
    const saved = () => sent.filter(({ ifMatch }) => ifMatch !== null);
    await waitFor(() => expect(saved()).toHaveLength(1));
    expect(sent.indexOf(saved()[0]!)).toBe(1); // after one test, not after two
  });

  it("is not sent while a required setting is empty", async () => {
    await show();
    await userEvent.clear(fieldOf("Host"));
    await click("Save");
    expect(screen.getByRole("alert").textContent).toBe("Fill in the required fields: Host.");
    expect(document.activeElement).toBe(fieldOf("Host"));
    expect(sent).toEqual([]);
  });
});

describe("if somebody else saves a change first", () => {
  it("what the user has typed stays when the page loads the newer version", async () => {
    const showNewer = await show();
    await type("Port", "6000");
    await showNewer({ ...SHOP, version: 2, name: "Store" });
    expect(valueOf("Port")).toBe("6000");
    expect(valueOf("Name")).toBe("Shop");
  });

  it("a form that was not edited shows the newer version", async () => {
    const showNewer = await show();
    await showNewer({ ...SHOP, version: 2, name: "Store" });
    expect(valueOf("Name")).toBe("Store");
  });

  it("the user chooses a value for each field that both have changed, and saves over the newer version", async () => {
    await show();
    await type("Port", "6000");
    await type("Description", "Nightly");
    saved = { ...SHOP, version: 2, name: "Store", config: { ...SHOP.config, port: 7000 } };
    await click("Save");
    const alert = await screen.findByRole("alert");
    await waitFor(() => expect(document.activeElement).toBe(alert));
    expect(within(alert).getByText("Name: Store")).toBeTruthy();
    expect(alert.textContent).toMatch(/Keep yours6000Take theirs7000/);
    expect([valueOf("Port"), valueOf("Description")]).toEqual(["6000", "Nightly"]);
    await userEvent.click(screen.getByRole("radio", { name: /^Take theirs/ }));
    await click("Continue editing");
    expect([valueOf("Port"), valueOf("Description"), valueOf("Name")]).toEqual(["7000", "Nightly", "Store"]);
    await click("Save");
    await waitFor(() =>
      expect(sent.at(-1)).toMatchObject({ ifMatch: '"2"', body: { description: "Nightly" } }),
    );
  });

  it("a password that the user has typed is neither lost nor shown", async () => {
    await show();
    await click("Replace");
    await type("Password", "typed-canary");
    saved = { ...SHOP, version: 2, config: { ...SHOP.config, password: { set: true, last4: "0000" } } };
    await click("Save");
    const alert = await screen.findByRole("alert");
    expect(alert.textContent).toContain("A new value");
    expect(alert.textContent).toContain("Set, ends in 0000");
    expect(alert.textContent).not.toContain("typed-canary");
    expect(valueOf("Password")).toBe("typed-canary");
    await click("Save the chosen values");
    await waitFor(() =>
      expect(sent.filter(({ ifMatch }) => ifMatch)).toMatchObject([
        { ifMatch: '"1"' },
        { ifMatch: '"2"', body: { config: { password: "typed-canary" } } },
      ]),
    );
  });
});
