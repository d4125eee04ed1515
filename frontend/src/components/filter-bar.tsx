import type { ReactNode } from "react";
import { Button } from "./button";
import { EmptyState } from "./notice";
import { SearchField } from "./search-field";

interface BarProps {
  /** What the list has, such as "runs". */
  items: string;
  /** The filter in the URL. */
  filter: { q?: string | undefined };
  /** `replace` says whether to replace the entry in the history, see `isStillTyped`. Without it, there is no search. */
  onSearch?: (q: string | undefined, replace: boolean) => void;
  onClear: () => void;
  children?: ReactNode;
}

/** The search and the filters of a list, and a button that clears them. `children` are the filters. */
export function FilterBar({ items, filter, onSearch, onClear, children }: BarProps) {
  const isFiltered = Object.values(filter).some((value) => value !== undefined);
  return (
    <div role="search" aria-label={`Filter ${items}`} className="mb-4 flex flex-wrap items-center gap-2">
      {onSearch && (
        <SearchField
          label={`Search ${items}`}
          value={filter.q ?? ""}
          onChange={(q, replace) => onSearch(q || undefined, replace)}
        />
      )}
      {children}
      {isFiltered && (
        <Button look="quiet" onClick={onClear}>
          Clear filters
        </Button>
      )}
    </div>
  );
}

interface NoMatchProps {
  /** As in the bar. */
  items: string;
  onClear: () => void;
  children?: ReactNode;
}

/** Says that no row matches the filters, with a button that clears them. */
export function NoMatch({ items, onClear, children }: NoMatchProps) {
  return (
    <EmptyState title={`No ${items} match`} action={<Button onClick={onClear}>Clear filters</Button>}>
      Try fewer words, or fewer filters.{children}
    </EmptyState>
  );
}

interface SelectProps<Value extends string> {
  label: string;
  /** The option for no filter. */
  any: string;
  value: Value | undefined;
  /** The values and what they are called. */
  words: Record<Value, string>;
  onChange: (value: Value | undefined) => void;
}

/** A filter with a few values. */
export function FilterSelect<Value extends string>({
  label,
  any,
  value,
  words,
  onChange,
}: SelectProps<Value>) {
  return (
    <select
      aria-label={label}
      className="control w-auto!"
      value={value ?? ""}
      onChange={({ target }) => onChange((target.value || undefined) as Value | undefined)}
    >
      <option value="">{any}</option>
      {Object.entries<string>(words).map(([each, word]) => (
        <option key={each} value={each}>
          {word}
        </option>
      ))}
    </select>
  );
}
