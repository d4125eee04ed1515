import { useDeferredValue, useMemo, useState } from "react";
import type { StreamInfo } from "@/api/types";
import { Button } from "@/components/button";
import { SearchInput } from "@/components/search-field";
import { countWithNoun, formatCount } from "@/format/number";
import { schemaOf, schemasOf } from "./stream-choice";

export const MAX_WITHOUT_SEARCH = 6; // streams

type Shown = "all" | "selected" | "errors";

type Filter = ReturnType<typeof useFilter>;

/** The search, the schema, and whether only selected streams or those with errors are shown. */
export function useFilter(streams: StreamInfo[], failing: string[]) {
  const [searchText, setSearchText] = useState("");
  const [schema, setSchema] = useState<string | null>(null);
  const [shown, setShown] = useState<Shown>(failing.length > 0 ? "errors" : "all");
  // A row stays when it is no longer selected or its error is corrected, so that the focus is not lost.
  const [kept, setKept] = useState<ReadonlySet<string>>(new Set(failing));
  const searched = useDeferredValue(searchText.trim().toLowerCase());
  const matches = useMemo(
    () =>
      streams.filter(
        ({ name }) =>
          name.toLowerCase().includes(searched) &&
          (schema === null || schemaOf(name) === schema) &&
          (shown === "all" || kept.has(name)),
      ),
    [streams, searched, schema, shown, kept],
  );
  function show(which: Shown, names: Iterable<string>) {
    setShown(which);
    setKept(new Set(names));
  }
  return { searchText, setSearchText, schema, setSchema, shown, show, matches };
}

interface FilterProps {
  filter: Filter;
  streams: StreamInfo[];
  selected: string[];
  failing: string[];
}

export function FilterFields({ filter, streams, selected, failing }: FilterProps) {
  const schemas = useMemo(() => schemasOf(streams), [streams]);
  const labels: Record<Shown, string> = {
    all: `All ${formatCount(streams.length)}`,
    selected: `Selected ${formatCount(selected.length)}`,
    errors: `With errors ${formatCount(failing.length)}`,
  };
  const names = { all: [], selected, errors: failing };
  const hasErrors = failing.length > 0 || filter.shown === "errors";
  const choices: Shown[] = hasErrors ? ["all", "selected", "errors"] : ["all", "selected"];
  return (
    <div className="flex flex-wrap items-center gap-2">
      <SearchInput
        label="Search streams"
        placeholder={`Search ${countWithNoun(streams.length, "stream")}`}
        className="sm:w-64"
        value={filter.searchText}
        onChange={filter.setSearchText}
      />
      {schemas.length > 0 && (
        <select
          aria-label="Schema"
          className="control sm:w-48!"
          value={filter.schema === null ? "all" : `=${filter.schema}`}
          onChange={({ target }) => filter.setSchema(target.value === "all" ? null : target.value.slice(1))}
        >
          <option value="all">All schemas</option>
          {schemas.map(([schema, count]) => (
            <option key={schema} value={`=${schema}`}>
              {schema || "Without a schema"} ({formatCount(count)})
            </option>
          ))}
        </select>
      )}
      <div role="group" aria-label="Which streams" className="flex flex-wrap gap-1">
        {choices.map((each) => (
          <Button
            key={each}
            size="small"
            look={each === filter.shown ? "plain" : "quiet"}
            aria-pressed={each === filter.shown}
            onClick={() => filter.show(each, names[each])}
          >
            {labels[each]}
          </Button>
        ))}
      </div>
    </div>
  );
}
