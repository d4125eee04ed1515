// @vitest-environment jsdom
import { QueryClient, QueryClientProvider, useMutation } from "@tanstack/react-query";
import { cleanup, render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import axe from "axe-core";
import { useState } from "react";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ProblemError } from "@/api/problem";
import { isSame, type Values } from "@/format/merge";
import { TextField } from "./field";
import { SecretField } from "./secret-field";
import { VersionedForm } from "./versioned-form";

const LABELS = { name: "Name", host: "Host", secret: "Secret" };
const SAVED: Values = { name: "Shop", host: "db", secret: { set: true, last4: "9f2c" } };

/** What is saved now, and the values that were saved over it. */
let server: Values;
let sent: Values[];

/** Shows what it has read. Saves over it only if it is still saved, else reads it again, as the pages do. */
function Page() {
  const [read, setRead] = useState(server);
  const save = useMutation({
    mutationFn: (values: Values) => {
      if (!isSame(read, server)) return Promise.reject(new ProblemError(412, { detail: "Changed" }));
      sent.push(values);
      server = values;
      return Promise.resolve(values);
    },
    onSettled: () => setRead(server),
  });
  return (
    <VersionedForm
      saved={{ name: read.name, host: read.host, secret: read.secret }}
      labels={LABELS}
      secrets={["secret"]}
      save={save}
      onSave={(values, _changed, done) => save.mutate(values, { onSuccess: done })}
    >
      {({ values, base, change }) => (
        <>
          {(["name", "host"] as const).map((field) => (
            <TextField
              key={field}
              label={LABELS[field]}
              value={String(values[field])}
              onChange={({ target }) => change({ [field]: target.value })}
            />
          ))}
          <SecretField
            label={LABELS.secret}
            value={values.secret}
            stored={base.secret}
            onChange={(secret) => change({ secret })}
          />
        </>
      )}
    </VersionedForm>
  );
}

function show() {
  return render(
    <QueryClientProvider client={new QueryClient()}>
      <Page />
    </QueryClientProvider>,
  );
}

async function fill(label: string, text: string) {
  await userEvent.clear(screen.getByLabelText(label));
  if (text) await userEvent.type(screen.getByLabelText(label), text);
}

const click = (name: string) => userEvent.click(screen.getByRole("button", { name }));
const valueOf = (label: string) => screen.getByLabelText<HTMLInputElement>(label).value;

beforeEach(() => {
  server = SAVED;
  sent = [];
});
afterEach(cleanup);

describe("a form of something that others can change too", () => {
  it("saves nothing until something has changed", async () => {
    show();
    expect(screen.getByRole("button", { name: "Save" }).getAttribute("aria-disabled")).toBe("true");
    await fill("Name", "Store");
    await fill("Name", "Shop");
    await click("Save");
    expect(sent).toEqual([]);
  });

  it("keeps what was typed if somebody else saves first, and says what they have changed", async () => {
    const { container } = show();
    await fill("Name", "Store");
    server = { ...SAVED, host: "db2" };
    await click("Save");
    const notice = await screen.findByRole("alert");
    expect(document.activeElement).toBe(notice);
    expect(within(notice).getByText("Host: db2")).toBeTruthy();
    expect(within(notice).queryByRole("radio")).toBeNull();
    expect([valueOf("Name"), valueOf("Host")]).toEqual(["Store", "db"]);
    expect((await axe.run(container)).violations).toEqual([]);
    await click("Save the changes of both");
    expect(sent).toEqual([{ ...SAVED, name: "Store", host: "db2" }]);
    expect(screen.queryByRole("alert")).toBeNull();
  });

  it("shows both values of a field that both have changed, and saves the chosen one", async () => {
    show();
    await fill("Name", "Mine");
    await fill("Host", "my-host");
    server = { ...SAVED, name: "Theirs", host: "their-host" };
    await click("Save");
    const name = within(await screen.findByRole("group", { name: "Name" }));
    expect(name.getByRole<HTMLInputElement>("radio", { name: /^Keep yours/ }).checked).toBe(true);
    await userEvent.click(name.getByRole("radio", { name: /^Take theirs/ }));
    await click("Save the chosen values");
    expect(sent).toEqual([{ ...SAVED, name: "Theirs", host: "my-host" }]);
    expect([valueOf("Name"), valueOf("Host")]).toEqual(["Theirs", "my-host"]);
  });

  it("goes on with the chosen values, which are saved later", async () => {
    show();
    await fill("Name", "Mine");
    server = { ...SAVED, name: "Theirs" };
    await click("Save");
    await screen.findByRole("alert");
    await click("Continue editing");
    expect(screen.queryByRole("alert")).toBeNull();
    expect(sent).toEqual([]);
    await click("Save");
    expect(sent).toEqual([{ ...SAVED, name: "Mine" }]);
  });

  it("shows what somebody else has saved if the user discards their own changes", async () => {
    show();
    await fill("Name", "Mine");
    server = { ...SAVED, name: "Theirs" };
    await click("Save");
    await screen.findByRole("alert");
    await click("Discard my changes");
    expect(valueOf("Name")).toBe("Theirs");
    expect(sent).toEqual([]);
  });

  it("neither loses nor shows a secret that was typed", async () => {
    show();
    await fill("Secret", "typed-canary");
    server = { ...SAVED, secret: { set: true, last4: "0000" } };
    await click("Save");
    const notice = await screen.findByRole("alert");
    expect(notice.textContent).toMatch(/Keep yoursA new valueTake theirsSet, ends in 0000/);
    expect(notice.textContent).not.toContain("typed-canary");
    await click("Save the chosen values");
    expect(sent).toEqual([{ ...SAVED, secret: "typed-canary" }]);
  });
});
