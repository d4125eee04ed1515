// @vitest-environment jsdom
import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { afterEach, expect, it } from "vitest";
import { STRICT_LIMITS } from "@/format/limits";
import { LimitFields } from "./limit-fields";

afterEach(cleanup);

function Form() {
  const [limits, setLimits] = useState(STRICT_LIMITS);
  return (
    <>
      <LimitFields limits={limits} onChange={setLimits} />
      <output>{JSON.stringify(limits)}</output>
    </>
  );
}

it("a percentage with decimals can be typed, and the switch is set", async () => {
  render(<Form />);
  const percent = screen.getByLabelText("Rejected records allowed, in percent");
  await userEvent.clear(percent);
  await userEvent.type(percent, "0.5");
  await userEvent.click(screen.getByLabelText("An empty result may replace rows"));
  expect((percent as HTMLInputElement).value).toBe("0.5");
  expect(screen.getByRole("status").textContent).toBe('{"allowEmpty":true,"maxRejectedShare":0.005}');
});
