/** Characters with which a formula begins in a spreadsheet, and the full-width forms of = + - @, as on the server. */
const FORMULA_START = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;

/** Returns the rows as CSV. No cell is evaluated as a formula when a spreadsheet opens the file (OWASP: CSV injection). */
export function csvText(rows: (string | null)[][]): string {
  return rows.map((row) => row.map(cell).join(",") + "\r\n").join("");
}

function cell(value: string | null): string {
  const text = value === null ? "" : FORMULA_START.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
