interface Props {
  value: number | null;
  other: number | null;
  format: (value: number) => string;
}

/** How much more or less the value is than that of the other run. */
export function Difference({ value, other, format }: Props) {
  if (value === null || other === null || value === other) return "–";
  const sign = value > other ? "+" : "\u2212";
  const share = other === 0 ? null : Math.round((Math.abs(value - other) / other) * 100);
  return (
    <>
      {sign}
      {format(Math.abs(value - other))}
      {share !== null && share < 1000 && <span className="ml-1.5 text-faint max-sm:hidden">({share}%)</span>}
    </>
  );
}
