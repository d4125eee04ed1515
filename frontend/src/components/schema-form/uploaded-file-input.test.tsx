// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { afterEach, beforeEach, expect, it } from "vitest";
import { EMPTY_LISTS, http, logIn, part, startServer } from "@/test-server";
import { UploadedFileInput } from "./uploaded-file-input";

startServer(
  http.get("/api/v1/files/limits", ({ response }) =>
    response(200).json({ max_file_bytes: 100, max_bytes: 1000, used_bytes: 0 }),
  ),
  http.post("/api/v1/files", ({ response }) => response(201).json(part({ name: "orders.csv" }))),
  EMPTY_LISTS,
);

function Field() {
  const [value, setValue] = useState("");
  return (
    <UploadedFileInput
      control={{ "aria-label": "Path" }}
      value={value}
      placeholder={undefined}
      onChange={setValue}
    />
  );
}

function show() {
  const { container } = render(
    <QueryClientProvider client={new QueryClient()}>
      <Field />
    </QueryClientProvider>,
  );
  return container.querySelector<HTMLInputElement>("input[type=file]");
}

beforeEach(() => logIn(["connectors.edit"]));
afterEach(cleanup);

it("uploads a file inside the form, and takes its name when it is stored", async () => {
  const input = show()!;
  await userEvent.upload(input, new File(["id\n1\n"], "orders.csv"));
  await waitFor(() => expect(screen.getByLabelText<HTMLInputElement>("Path").value).toBe("orders.csv"));
  expect(screen.getByRole("list", { name: "Uploads" }).textContent).toContain("Uploaded");
});

it("says why a file cannot be stored, and keeps what was typed", async () => {
  const input = show()!;
  await userEvent.type(screen.getByLabelText("Path"), "*.csv");
  await userEvent.upload(input, new File(["x".repeat(101)], "large.csv"));
  expect(await screen.findByText(/A file may have at most 100/)).toBeTruthy();
  expect(screen.getByLabelText<HTMLInputElement>("Path").value).toBe("*.csv");
});

it("offers no upload to somebody who may edit connectors only in a domain", () => {
  logIn([]);
  expect(show()).toBeNull();
});
