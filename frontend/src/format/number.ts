const groupedFormat = new Intl.NumberFormat("en");
const compactFormat = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** Formats a number with separators: `336,776`. */
export function formatCount(value: number): string {
  return groupedFormat.format(value);
}

/** Formats a number in a short form: `336.8K`. Show the exact number in a tooltip. */
export function formatShortCount(value: number): string {
  return value < 10_000 ? groupedFormat.format(value) : compactFormat.format(value);
}

const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB"];

/** Joins a number and its unit with a no-break space, so that they stay on one line. */
export function withUnit(value: number | string, unit: string): string {
  return `${value}\u00a0${unit}`;
}

/** Formats bytes with decimal units: `812 B`, `4.1 MB`. */
export function formatBytes(value: number): string {
  let size = value;
  let unit = 0;
  while (size >= 999.5 && unit < BYTE_UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  const text = unit === 0 || size >= 99.95 ? size.toFixed(0) : size.toFixed(1);
  return withUnit(text, BYTE_UNITS[unit]!);
}

/** Formats a count with its noun: `1 record`, `2 records`. */
export function countWithNoun(value: number, word: string): string {
  return withUnit(formatCount(value), value === 1 ? word : `${word}s`);
}
