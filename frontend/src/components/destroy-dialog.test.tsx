// @vitest-environment jsdom
import { QueryClient, QueryClientProvider, useMutation } from "@tanstack/react-query";
import { cleanup, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ProblemError } from "@/api/problem";
import { DestroyDialog } from "./destroy-dialog";

const destroy = vi.fn<(name: string) => Promise<void>>();

function Page() {
  const [target, setTarget] = useState<string | null>("My  orders");
  const destruction = useMutation({ mutationFn: destroy });
  return (
    <DestroyDialog
      target={target}
      nameOf={(name) => name}
      verb="Delete"
      destruction={destruction}
      onClose={() => setTarget(null)}
    >
      Its records are kept.
    </DestroyDialog>
  );
}

beforeEach(() => {
  destroy.mockReset();
  HTMLDialogElement.prototype.showModal = function () {
    this.open = true;
  };
  HTMLDialogElement.prototype.close = function () {
    this.open = false;
  };
  render(
    <QueryClientProvider client={new QueryClient()}>
      <Page />
    </QueryClientProvider>,
  );
});
afterEach(cleanup);

const confirm = () => userEvent.click(screen.getByRole("button", { name: "Delete" }));
const typeName = (name: string) => userEvent.type(screen.getByLabelText(/^Type/), name);

it("destroys nothing before the name is typed", async () => {
  await confirm();
  await typeName("My order");
  await confirm();
  expect(destroy).not.toHaveBeenCalled();
});

it("destroys and closes when the name is typed as the page shows it", async () => {
  destroy.mockResolvedValue();
  await typeName("My orders");
  await confirm();
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  expect(destroy.mock.calls[0]![0]).toBe("My  orders");
});

it("stays open and says why if it could not be done, with the id of the request", async () => {
  destroy.mockRejectedValue(new ProblemError(500, null, new Headers({ "X-Request-ID": "4f2a90c1" })));
  await typeName("My orders");
  await confirm();
  expect((await screen.findByRole("alert")).textContent).toContain("4f2a90c1");
  expect(screen.getByRole("dialog")).toBeTruthy();
});
