// @vitest-environment jsdom
import { cleanup, render } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import { RouteLine } from "./route-line";

afterEach(cleanup);

it.each([
  ["postgres", "postgres · bikes"],
  ["custom-01a224dc-71a7-73fc-a417-ade759522c1d", "custom source · bikes"],
])("the line of a pipeline names the source in words: %s", (source, text) => {
  const { container } = render(<RouteLine source={source} destination="parquet" stream="bikes" />);
  expect(container.textContent).toBe(`${text}parquet`);
});
