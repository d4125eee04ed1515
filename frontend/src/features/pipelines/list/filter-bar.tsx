import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import type { PipelineFacets } from "@/api/types";
import { Button } from "@/components/button";
import { classNames } from "@/components/class-names";
import { SearchField } from "@/components/search-field";
import { formatCount } from "@/format/number";
import { FRESHNESS_WORDS, STATUS_WORDS } from "@/api/status-words";
import { filterOf, parsePipelineSearch, withoutEmptyValues, type PipelineSearch } from "./filter";

type Facet = keyof PipelineFacets;

// The widths do not depend on the values, so that the list does not move when they arrive.
const FACETS: { facet: Facet; label: string; any: string; width: string }[] = [
  { facet: "freshness", label: "Freshness", any: "Any freshness", width: "w-32!" },
  { facet: "status", label: "Status of the last run", any: "Any status", width: "w-32!" },
  { facet: "domain", label: "Domain", any: "Any domain", width: "w-29!" },
  { facet: "source", label: "Source", any: "Any source", width: "w-29!" },
  { facet: "destination", label: "Destination", any: "Any destination", width: "w-35!" },
  { facet: "tag", label: "Tag", any: "Any tag", width: "w-27!" },
  { facet: "enabled", label: "Enabled", any: "Enabled or not", width: "w-35!" },
];
const WORDS: Partial<Record<Facet, Record<string, string>>> = {
  freshness: FRESHNESS_WORDS,
  status: STATUS_WORDS,
  enabled: { true: "Enabled", false: "Disabled" },
};

/** The filters of the list, with the number of pipelines for each of their values. */
export function FilterBar({
  search,
  facets,
}: {
  search: PipelineSearch;
  facets: PipelineFacets | undefined;
}) {
  const navigate = useNavigate({ from: "/pipelines" });
  const [isOpen, setOpen] = useState(false); // on narrow screens
  const change = (name: string, value: string, replace = false) =>
    void navigate({ search: (current) => parsePipelineSearch({ ...current, [name]: value }), replace });
  const chosen = Object.keys(filterOf(search)).length;
  return (
    <div role="search" aria-label="Filter pipelines" className="flex flex-wrap items-center gap-1.5">
      <div className="flex w-full gap-1.5 sm:w-56">
        <SearchField
          label="Search pipelines"
          value={search.q ?? ""}
          onChange={(q, replace) => change("q", q, replace)}
        />
        <Button className="md:hidden" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          Filters{chosen > 0 && ` (${chosen})`}
        </Button>
      </div>
      <div
        className={classNames(
          "flex-wrap items-center gap-1.5 max-md:w-full",
          isOpen ? "flex md:contents" : "hidden md:contents",
        )}
      >
        {FACETS.map(({ facet, label, any, width }) => (
          <FacetSelect
            key={facet}
            label={label}
            any={any}
            width={width}
            value={String(search[facet] ?? "")}
            values={facets?.[facet]}
            words={WORDS[facet]}
            onChange={(value) => change(facet, value)}
          />
        ))}
      </div>
      {chosen > 0 && (
        <Button
          look="quiet"
          onClick={() =>
            void navigate({ search: ({ order, group }) => withoutEmptyValues({ order, group }) })
          }
        >
          Clear filters
        </Button>
      )}
    </div>
  );
}

interface SelectProps {
  label: string;
  any: string;
  width: string;
  value: string;
  values: PipelineFacets[Facet] | undefined; // undefined while they are loaded
  words?: Record<string, string>;
  onChange: (value: string) => void;
}

function FacetSelect({ label, any, width, value, values, words, onChange }: SelectProps) {
  const isKnown = value === "" || values?.some((known) => known.value === value);
  return (
    <select
      aria-label={label}
      className={classNames(
        "control h-8! px-1.5! text-[0.8125rem] max-md:flex-1",
        width,
        value !== "" && "border-live!",
      )}
      value={value}
      onChange={({ target }) => onChange(target.value)}
    >
      <option value="">{any}</option>
      {!isKnown && <option value={value}>{words?.[value] ?? value} (0)</option>}
      {values?.map((known) => (
        <option key={known.value} value={known.value}>
          {words?.[known.value] ?? known.label} ({formatCount(known.count)})
        </option>
      ))}
    </select>
  );
}
