/** Moves the focus to the field that the user has to look at, also if it is in collapsed settings. */
import { useEffect, useRef, type RefObject } from "react";
import { isAtOrBelow } from "./messages";

const CONTROLS = "input, select, textarea, button, summary, [tabindex]";
const WRONG = "[aria-invalid='true'], [data-wrong]";

/**
 * Moves the focus to the first wrong field in the element after each refusal: a count of refused submissions, or an error of
 * the server. Of several, each that changes counts.
 */
export function useFocusOnWrongField(refusals: unknown[]): RefObject<HTMLDivElement | null> {
  const container = useRef<HTMLDivElement>(null);
  const seen = useRef(refusals);
  useEffect(() => {
    const isNew = refusals.some((refusal, index) => refusal && refusal !== seen.current[index]);
    seen.current = refusals;
    if (isNew) focusOn(container.current?.querySelector<HTMLElement>(WRONG));
  });
  return container;
}

/** Moves the focus to the setting, or to the nearest one around it. Returns whether there is one. */
export function focusSetting(path: string, container: ParentNode = document): boolean {
  const fields = [...container.querySelectorAll<HTMLElement>("[data-setting]")];
  const around = fields.filter(({ dataset }) => isAtOrBelow(path, dataset.setting!));
  return focusOn(around.at(-1)); // Inner fields come after the outer ones.
}

/** Moves the focus to the setting that the address of the page names, when its form is there. */
export function useFocusedSetting(path: string | undefined, isReady: boolean): void {
  useEffect(() => {
    if (path !== undefined && isReady) focusSetting(path);
  }, [path, isReady]);
}

/** Moves the focus to the first control of the element. Returns whether there is one. */
export function focusOn(field: HTMLElement | null | undefined): boolean {
  if (!field) return false;
  for (let outer = field.closest("details"); outer; outer = outer.parentElement!.closest("details"))
    outer.open = true;
  const control = field.matches(CONTROLS) ? field : field.querySelector<HTMLElement>(CONTROLS);
  (control ?? field).focus({ preventScroll: true });
  field.scrollIntoView({ block: "center" });
  return true;
}
