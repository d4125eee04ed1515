// @vitest-environment jsdom
import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ConfirmDialog } from "./dialog";

const confirm = vi.fn();
const close = vi.fn();

beforeEach(() => {
  // jsdom has no modal dialogs.
  HTMLDialogElement.prototype.showModal = function () {
    this.open = true;
  };
  HTMLDialogElement.prototype.close = function () {
    this.open = false;
  };
});
afterEach(() => {
  cleanup();
  vi.clearAllMocks();
});

function dialog(props: { nameToType?: string; confirmLabel?: string }) {
  return (
    <ConfirmDialog open title="Delete Shop?" onConfirm={confirm} onClose={close} {...props}>
      It cannot be restored.
    </ConfirmDialog>
  );
}

describe("a dialog that asks for the name", () => {
  it("confirms only after the name was typed", async () => {
    render(dialog({ nameToType: "Shop", confirmLabel: "Delete" }));
    await userEvent.click(screen.getByRole("button", { name: "Delete" }));
    await userEvent.type(screen.getByLabelText("Type Shop to confirm"), "Shap{Enter}");
    expect(confirm).not.toHaveBeenCalled();
    await userEvent.clear(screen.getByLabelText("Type Shop to confirm"));
    await userEvent.type(screen.getByLabelText("Type Shop to confirm"), "Shop");
    await userEvent.click(screen.getByRole("button", { name: "Delete" }));
    expect(confirm).toHaveBeenCalledOnce();
  });
});

describe("a dialog for an action that is not possible", () => {
  it("can only be closed", async () => {
    render(dialog({}));
    expect(screen.getAllByRole("button")).toHaveLength(1);
    await userEvent.click(screen.getByRole("button", { name: "Back" }));
    expect(close).toHaveBeenCalledOnce();
  });
});
