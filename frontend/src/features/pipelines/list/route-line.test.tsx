// @vitest-environment jsdom
import { cleanup, render } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import { RouteLine } from "./route-line";

afterEach(cleanup);

it("the line of a pipeline names its source, its stream and its destination", () => {
  const { container } = render(<RouteLine source="Shop" destination="Warehouse" stream="bikes" />);
  expect(container.textContent).toBe("Shop · bikesWarehouse");
  expect(container.querySelector("[title='Shop · bikes']")).toBeTruthy();
});
