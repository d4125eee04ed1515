import { useRef, useState, type KeyboardEvent } from "react";
import { Button } from "@/components/button";
import { CrossIcon, PlusIcon } from "@/components/icons";
import { asText } from "./setting-inputs";
import { isMaskedSecret, type Config } from "./schema";
import { SecretInput } from "./secret-input";
import type { Messages } from "./validation";

interface Props {
  title: string;
  value: Config;
  /** Whether the value of this name is a secret. */
  isSecret: (name: string) => boolean;
  onChange: (value: Config | undefined) => void;
  errors: Messages;
  path: string;
}

type Row = [name: string, value: unknown];

/**
 * An input for pairs of a name and a value, such as HTTP headers. Enter goes to the value and then to the next pair, and
 * Backspace in an empty pair removes it.
 */
export function MapInput({ title, value, isSecret, onChange, errors, path }: Props) {
  const [rows, setRows] = useState<Row[]>(() => Object.entries(value));
  const container = useRef<HTMLDivElement>(null);

  function changeRows(next: Row[]) {
    setRows(next);
    const namedRows = next.filter(([name]) => name !== "");
    onChange(namedRows.length > 0 ? Object.fromEntries(namedRows) : undefined);
  }
  const replaceRow = (index: number, row: Row) => changeRows(rows.map((old, i) => (i === index ? row : old)));
  /** Moves the focus after the rows were rendered. Without such a row, to the button that adds one. */
  function focusRow(index: number, part: "name" | "value" = "name") {
    requestAnimationFrame(() => {
      const names = container.current?.querySelectorAll<HTMLElement>(`[data-part="${part}"]`);
      const control = names?.[index]?.querySelector<HTMLElement>("input, button");
      (control ?? container.current?.querySelector<HTMLElement>("[data-add]"))?.focus();
    });
  }
  function insertRow(index: number) {
    setRows([...rows.slice(0, index), ["", ""], ...rows.slice(index)]);
    focusRow(index);
  }
  function removeRow(index: number, nextFocus: number) {
    changeRows(rows.filter((_, i) => i !== index));
    focusRow(nextFocus);
  }
  function pressKey(event: KeyboardEvent, index: number, part: "name" | "value") {
    const [name, rowValue] = rows[index]!;
    if (event.target instanceof HTMLButtonElement) return;
    if (event.key === "Enter") {
      event.preventDefault(); // Enter does not submit the form.
      if (part === "name") focusRow(index, "value");
      else if (name !== "" && index + 1 === rows.length) insertRow(index + 1);
      else focusRow(index + 1);
    }
    if (event.key === "Backspace" && part === "name" && name === "" && rowValue === "") {
      event.preventDefault();
      removeRow(index, Math.max(0, index - 1));
    }
  }
  return (
    <div ref={container} className="grid gap-2">
      {rows.map(([name, rowValue], index) => {
        const message = rowMessage(rows, index, errors, path);
        const id = `${path}-${index}-message`;
        const invalid = message ? { "aria-invalid": true, "aria-describedby": id } : {};
        return (
          <div key={index} className="grid gap-1">
            <div className="grid grid-cols-[1fr_1.5fr_auto] items-start gap-2">
              <div data-part="name" onKeyDown={(event) => pressKey(event, index, "name")}>
                <input
                  aria-label={`${title}: name ${index + 1}`}
                  className="control"
                  placeholder="Name"
                  autoComplete="off"
                  spellCheck={false}
                  {...invalid}
                  value={name}
                  onChange={({ target }) => replaceRow(index, [target.value, rowValue])}
                />
              </div>
              <div data-part="value" onKeyDown={(event) => pressKey(event, index, "value")}>
                {isSecret(name) || isMaskedSecret(rowValue) ? (
                  <SecretInput
                    control={{ "aria-label": `${title}: value ${index + 1}` }}
                    value={rowValue}
                    onChange={(next) => replaceRow(index, [name, next])}
                  />
                ) : (
                  <input
                    aria-label={`${title}: value ${index + 1}`}
                    className="control"
                    placeholder="Value"
                    autoComplete="off"
                    spellCheck={false}
                    value={asText(rowValue)}
                    onChange={({ target }) => replaceRow(index, [name, target.value])}
                  />
                )}
              </div>
              <Button
                look="quiet"
                size="icon"
                aria-label={`Remove ${name || `row ${index + 1}`}`}
                onClick={() => removeRow(index, index)}
              >
                <CrossIcon />
              </Button>
            </div>
            {message && (
              <p id={id} className="text-xs text-bad">
                {message}
              </p>
            )}
          </div>
        );
      })}
      <div>
        <Button data-add size="small" aria-label={`Add to ${title}`} onClick={() => insertRow(rows.length)}>
          <PlusIcon className="-ml-0.5" />
          Add
        </Button>
      </div>
    </div>
  );
}

function rowMessage(rows: Row[], index: number, errors: Messages, path: string): string | undefined {
  const [name, value] = rows[index]!;
  if (name === "") return value === "" ? undefined : "Enter a name: a value without a name is not saved.";
  if (rows.slice(0, index).some(([other]) => other === name)) return "This name stands above already.";
  return errors[`${path}.${name}`];
}
