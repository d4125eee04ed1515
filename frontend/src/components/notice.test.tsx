// @vitest-environment jsdom
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import { ProblemError } from "@/api/problem";
import { ErrorNotice } from "./notice";

afterEach(cleanup);

it.each([
  [500, true],
  [503, true],
  [422, false],
])("an error with the status %i shows the id of its request: %s", (status, isShown) => {
  render(<ErrorNotice error={new ProblemError(status, {}, new Headers({ "X-Request-ID": "4f2a90c1" }))} />);
  expect(screen.queryByText("4f2a90c1") !== null).toBe(isShown);
});
