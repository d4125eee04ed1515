const grouped = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** `336,776` */
export function count(value: number): string {
  return grouped.format(value);
}

/** `336.8K`, for places where the exact figure is in a tooltip. */
export function shortCount(value: number): string {
  return value < 10_000 ? grouped.format(value) : compact.format(value);
}

const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB"];

/** A number and its unit, which stay on one line: between them is a no-break space. */
export function withUnit(value: number | string, unit: string): string {
  return `${value}\u00a0${unit}`;
}

/** Decimal bytes: `812 B`, `4.1 MB`. */
export function bytes(value: number): string {
  let size = value;
  let unit = 0;
  while (size >= 999.5 && unit < BYTE_UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  const text = unit === 0 || size >= 99.95 ? size.toFixed(0) : size.toFixed(1);
  return withUnit(text, BYTE_UNITS[unit]!);
}

/** `1 record`, `2 records` */
export function plural(value: number, word: string): string {
  return withUnit(count(value), value === 1 ? word : `${word}s`);
}
