import { classNames } from "./class-names";
import { ChevronIcon } from "./icons";

export type Direction = "ascending" | "descending";

interface ButtonProps {
  label: string;
  /** The direction in which the list is sorted by this column, or null if it is sorted by another one. */
  direction: Direction | null;
  /** What a click does. */
  title: string;
  onClick: () => void;
}

/** The name of a column. A click sorts the list by it. */
export function SortButton({ label, direction, title, onClick }: ButtonProps) {
  return (
    <button
      type="button"
      className={classNames("inline-flex items-center gap-0.5 hover:text-ink", direction && "text-ink")}
      title={title}
      onClick={onClick}
    >
      {label}
      {direction && (
        <ChevronIcon
          width="12"
          height="12"
          className={direction === "ascending" ? "rotate-180" : undefined}
        />
      )}
    </button>
  );
}

interface HeaderProps<Order extends string> {
  label: string;
  /** The order of the API by this column. */
  order: Order;
  direction?: Direction;
  /** The order in the address of the page, and the one without it. */
  chosen: Order | undefined;
  standard: Order;
  onSort: (order: Order | undefined) => void;
  className?: string;
}

/** The header of a column by which a table can be sorted. A second click returns to the order that the list has without one. */
export function SortHeader<Order extends string>(props: HeaderProps<Order>) {
  const { label, order, direction = "ascending", chosen, standard, onSort, className } = props;
  const isSorted = (chosen ?? standard) === order;
  const next = isSorted || order === standard ? undefined : order;
  return (
    <th scope="col" className={className} aria-sort={isSorted ? direction : undefined}>
      <SortButton
        label={label}
        direction={isSorted ? direction : null}
        title={isSorted && chosen ? "Sort as before" : `Sort by ${label.toLowerCase()}`}
        onClick={() => onSort(next)}
      />
    </th>
  );
}
