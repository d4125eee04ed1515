import type { StoredRows } from "@/api/types";

const CONTROL_PICTURES = 0x2400;
const MIN_WIDTH = 7; // characters
const MAX_WIDTH = 44;
const MEASURED_RECORDS = 100;

/** Returns the text in one line: a control character is shown as its picture. */
export function visibleText(text: string): string {
  // eslint-disable-next-line no-control-regex -- the control characters are what is replaced
  return text.replace(/[\0-\x1f\x7f]/g, (character) =>
    character === "\n"
      ? "↵"
      : character === "\x7f"
        ? "␡"
        : String.fromCharCode(CONTROL_PICTURES + character.charCodeAt(0)),
  );
}

/** Returns a timestamp without the letter T and without decimals that are all zero. Other texts are unchanged. */
export function shortText(text: string, type: string): string {
  return type === "timestamp" ? text.replace("T", " ").replace(/\.0+(?=$|[+-])/, "") : text;
}

/** The width of each column in characters, by its name, its type and the first records. */
export function columnWidths({ columns, records }: Pick<StoredRows, "columns" | "records">): number[] {
  return columns.map(({ name, type, stored_as }, index) => {
    const lengths = records
      .slice(0, MEASURED_RECORDS)
      .map((record) => shortText(record[index] ?? "null", type).length);
    const longest = Math.max(name.length + 1, stored_as.length, ...lengths);
    return Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, longest)) + 3;
  });
}

/** Whether the values of the column are aligned at the right. */
export function isNumeric(type: string): boolean {
  return type === "integer" || type === "number";
}
